"""The planted evidence: courses that only their order tells apart, mouths that follow the voice."""

import numpy as np
import pytest

from pipeline.demo.conversation import Cue
from pipeline.demo.expression import ACTIONS, EXPRESSIONS, course, facial_actions, resting
from pipeline.demo.face import draw_look, talking_head
from pipeline.demo.voice import RATE, draw_prosody, draw_voice, loudness_per_frame, speak


def generator():
    return np.random.default_rng(3)


@pytest.mark.parametrize("pair", [("surprise", "fear"), ("disgust", "anger")])
def test_a_pair_shares_its_actions_and_reverses_its_course(pair):
    first, second = (EXPRESSIONS[emotion] for emotion in pair)
    assert first.actions == second.actions
    forward = course(first.course, 40, 25, generator())
    backward = course(second.course, 40, 25, generator())
    np.testing.assert_array_equal(forward, backward[::-1])
    assert forward[:20].mean() > 1.5 * forward[20:].mean()


def test_frames_have_the_asked_form_and_repeat():
    look = draw_look(np.random.default_rng(0), 4)
    loudness = np.linspace(0, 1, 5)
    frames = [
        np.stack(list(talking_head(look, Cue("joy", 1), loudness, (256, 192), 25, generator())))
        for _ in range(2)
    ]
    assert frames[0].shape == (5, 192, 256, 3)
    assert frames[0].dtype == np.uint8
    np.testing.assert_array_equal(frames[0], frames[1])


def test_a_loud_voice_opens_the_mouth():
    look = draw_look(np.random.default_rng(0), 0)
    quiet, loud = (
        next(talking_head(look, Cue("neutral", 1), np.full(1, level), (320, 240), 25, generator()))
        for level in (0.0, 1.0)
    )
    rows = np.flatnonzero(np.abs(quiet.astype(int) - loud).max(axis=(1, 2)) > 40)
    assert len(rows) > 5
    assert rows.min() > 120  # the lower half of the picture, where the mouth is


@pytest.mark.parametrize(
    ("first", "second"),
    [("happiness", "excited"), ("frustration", "anger"), ("frustration", "sadness")],
)
def test_near_emotions_differ_in_face_and_voice(first, second):
    actions = [facial_actions(Cue(e, 1), 30, 15, generator()).mean(axis=0) for e in (first, second)]
    assert np.abs(actions[0] - actions[1]).max() > 0.3
    prosody = [draw_prosody(Cue(e, 1), generator()) for e in (first, second)]
    assert np.abs(np.subtract(*prosody)).max() > 1


def test_a_listener_keeps_the_mouth_shut_and_blinks():
    motion = resting(150, 15, generator())
    assert (motion.loudness == 0).all()
    assert (motion.actions[:, ACTIONS.index("open")] == 0).all()
    assert np.abs(motion.actions).max() < 0.3
    assert motion.shut.max() > 0.5


def test_a_voice_is_as_high_as_asked():
    for seed in range(5):
        low, high = (draw_voice(np.random.default_rng(seed), high) for high in (False, True))
        assert low.pitch < 140 < high.pitch


def test_voice_length_peak_and_loudness():
    voice = draw_voice(np.random.default_rng(0))
    sound = speak(voice, Cue("anger", 1), 1.2, generator())
    assert sound.shape == (round(1.2 * RATE),)
    assert sound.dtype == np.float32
    assert 0.05 < np.abs(sound).max() < 0.65
    loudness = loudness_per_frame(sound, 30)
    assert loudness.shape == (30,)
    assert loudness.max() == pytest.approx(1)


def test_loudness_per_frame_by_hand():
    # Two frames of two samples: root mean squares 3 and 1, relative to the louder one.
    sound = np.array([3, -3, 1, 1], np.float32)
    np.testing.assert_allclose(loudness_per_frame(sound, 2), [1, 1 / 3], rtol=1e-6)


def test_anger_is_louder_than_sadness():
    voice = draw_voice(np.random.default_rng(0))
    power = {
        emotion: np.mean(
            [
                np.mean(speak(voice, Cue(emotion, 1), 1, np.random.default_rng(i)) ** 2)
                for i in range(5)
            ]
        )
        for emotion in ("anger", "sadness")
    }
    assert power["anger"] > 4 * power["sadness"]
