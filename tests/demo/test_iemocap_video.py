"""The picture of a dialogue: whose face is where, and that it is the speaker's that moves."""

import numpy as np
import pytest

from pipeline.demo.conversation import Cue
from pipeline.demo.expression import ACTIONS
from pipeline.demo.iemocap_media import actor
from pipeline.demo.iemocap_video import Said, acting, two_actors
from pipeline.demo.voice import speak
from pipeline.features.frames.faces import FaceDetector
from tests.conftest import ROOT

FPS, SIZE, SECONDS = 15, (480, 320), 3.0
YUNET = "face_detection_yunet_2023mar.onnx"


def said(speaker, start, end, emotion):
    voice, rng = actor(31, speaker)[1], np.random.default_rng(speaker)
    return Said(start, end, Cue(emotion, 1), speak(voice, Cue(emotion, 1), end - start, rng))


@pytest.fixture(scope="module")
def frames():
    """The left actor speaks in the first second, the right one in the last."""
    left = (actor(31, 0)[0], [said(0, 0.0, 1.0, "anger")])
    right = (actor(31, 1)[0], [said(1, 2.0, 3.0, "excited")])
    drawn = two_actors([left, right], SECONDS, SIZE, FPS, np.random.default_rng(0))
    return np.stack(list(drawn))


def motion(frames, half, seconds):
    """How many pixels about a half's mouth change much from frame to frame between two times."""
    first, stop = (round(time * FPS) for time in seconds)
    part = frames[first:stop, 170:235, half * 240 : half * 240 + 240].astype(int)
    return (np.abs(np.diff(part, axis=0)).max(axis=3) > 40).sum()


def test_frames_are_letterboxed(frames):
    assert frames.shape == (45, 320, 480, 3)
    assert frames[:, :75].max() == frames[:, 245:].max() == 0  # 112 / 480 and 368 / 480 of 320
    assert frames[:, 77:243].mean() > 40


def test_the_speaker_moves_more_than_the_listener(frames):
    assert motion(frames, 0, (0, 1)) > 2 * motion(frames, 1, (0, 1))
    assert motion(frames, 1, (2, 3)) > 2 * motion(frames, 0, (2, 3))


def test_an_actor_shows_the_cue_and_speaks_in_the_own_turns_only():
    moved = acting([said(0, 1.0, 2.0, "excited")], 45, FPS, np.random.default_rng(0))
    assert (moved.loudness[15:30] > 0).all()
    assert moved.loudness[:15].max() == moved.loudness[30:].max() == 0
    smile = moved.actions[:, ACTIONS.index("smile")]
    assert smile[15:30].mean() > 0.5
    assert np.abs(smile[:15]).max() < 0.3


def test_the_ten_actors_differ():
    assert len({actor(31, speaker) for speaker in range(10)}) == 10
    assert all(actor(31, speaker)[0].long_hair == (speaker % 2 == 0) for speaker in range(10))


def test_yunet_finds_a_face_in_each_half(frames):
    found = [
        ROOT / "models" / place / YUNET for place in ("weights/yunet", "pretrained/demo_meld/faces")
    ]
    weights = next((path for path in found if path.is_file()), None)
    if weights is None:
        pytest.skip(f"needs {YUNET}; `python -m stages.weights demo_meld faces` brings it")
    detector = FaceDetector(weights, 0.6)
    for frame in frames[::5, :, :, ::-1]:
        for half in (frame[:, :240], frame[:, 240:]):
            (face,) = detector.detect(np.ascontiguousarray(half))
            assert face.score > 0.7
            assert 40 < face.box[3] < 171
