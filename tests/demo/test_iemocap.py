"""IEMOCAP's tree on disk against the plan, and the picture of a dialogue."""

import wave

import av
import numpy as np
import pytest

from pipeline.demo.conversation import Cue
from pipeline.demo.expression import ACTIONS
from pipeline.demo.iemocap import Speech, acting, actor, two_actors
from pipeline.demo.iemocap_plan import plan
from pipeline.demo.tree import write_tree
from pipeline.demo.voice import speak
from tests.demo.conftest import digests

FPS, SIZE, SECONDS = 15, (480, 320), 3.0


@pytest.fixture(scope="module")
def root(tiny_iemocap, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "IEMOCAP_full_release"
    write_tree(tiny_iemocap, folder)
    return folder


@pytest.fixture(scope="module")
def dialogues(tiny_iemocap):
    return plan(tiny_iemocap)


def dialog(root, one):
    return root / f"Session{one.session}/dialog"


def sentences(root, one):
    return root / f"Session{one.session}/sentences/wav/{one.annotation.dialogue}"


def sound(path):
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getsampwidth()) == (16000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels())


def plain(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_file() and p.name[:2] != "._")


@pytest.mark.slow
def test_bytes_repeat_whatever_the_workers(tiny_iemocap, root, tmp_path):
    write_tree(tiny_iemocap.model_copy(update={"workers": 2}), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(root)


def test_layout(root, dialogues):
    sessions = {f"Session{number}" for number in range(1, 6)}
    assert {path.name for path in root.iterdir()} == {"README.txt", "Documentation"} | sessions
    for session in sorted(sessions):
        names = [one.annotation.dialogue for one in dialogues if f"Session{one.session}" == session]
        folder = root / session / "dialog"
        for kind, suffix in (("avi/DivX", "avi"), ("wav", "wav"), ("transcriptions", "txt")):
            assert plain(folder / kind) == sorted(f"{name}.{suffix}" for name in names)
        assert plain(folder / "EmoEvaluation") == sorted(f"{name}.txt" for name in names)
        for kind in ("Attribute", "Categorical", "Self-evaluation"):
            assert any((folder / "EmoEvaluation" / kind).glob(f"{names[0]}_*.txt"))
        folders = sorted(path.name for path in (root / session / "sentences/wav").iterdir())
        assert folders == sorted(names)


def test_apple_double_lies_beside_every_kind(root, dialogues):
    first = dialogues[0]
    name, folder = first.annotation.dialogue, dialog(root, first)
    litter = [
        folder / f"avi/DivX/._{name}.avi",
        folder / f"wav/._{name}.wav",
        folder / f"EmoEvaluation/._{name}.txt",
        folder / f"transcriptions/._{name}.txt",
        sentences(root, first) / f"._{name}_{first.annotation.turns[0].utterance[-4:]}.wav",
    ]
    assert all(path.read_bytes().startswith(b"\x00\x05\x16\x07") for path in litter)


def test_sentences_are_cut_from_the_speakers_channel(root, dialogues):
    for one in dialogues:
        whole = sound(dialog(root, one) / f"wav/{one.annotation.dialogue}.wav")
        assert whole.shape == (round(one.seconds * 16000), 2)
        for turn in one.annotation.turns:
            if turn.utterance in one.absent + one.empty:
                continue
            cut = sound(sentences(root, one) / f"{turn.utterance}.wav")
            channel = int(turn.utterance[-4] != one.annotation.dialogue[5])
            first, end = round(turn.start * 16000), round(turn.end * 16000)
            np.testing.assert_array_equal(cut[:, 0], whole[first:end, channel])
            assert np.abs(cut).max() > 1000


def test_a_channel_is_quiet_while_its_speaker_is(root, dialogues):
    one = dialogues[0]
    whole = sound(dialog(root, one) / f"wav/{one.annotation.dialogue}.wav")
    first = round(min(turn.start for turn in one.annotation.turns) * 16000)
    assert 0 < np.abs(whole[:first]).max() < 300


def test_avi_is_divx_without_sound(root, dialogues, tiny_iemocap):
    for one in dialogues:
        path = dialog(root, one) / f"avi/DivX/{one.annotation.dialogue}.avi"
        with av.open(str(path)) as box:
            (stream,) = box.streams
            context = stream.codec_context
            assert (stream.type, context.name, context.codec_tag) == ("video", "mpeg4", "DIVX")
            assert (context.width, context.height) == (tiny_iemocap.width, tiny_iemocap.height)
            assert stream.average_rate == tiny_iemocap.fps
            assert sum(1 for _ in box.decode(video=0)) == round(one.seconds * tiny_iemocap.fps)


def speech(speaker, start, end, emotion):
    voice, rng = actor(31, speaker)[1], np.random.default_rng(speaker)
    return Speech(start, end, Cue(emotion, 1), speak(voice, Cue(emotion, 1), end - start, rng))


@pytest.fixture(scope="module")
def frames():
    """The left actor speaks in the first second, the right one in the last."""
    left = (actor(31, 0)[0], [speech(0, 0.0, 1.0, "anger")])
    right = (actor(31, 1)[0], [speech(1, 2.0, 3.0, "excited")])
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


def test_an_actor_shows_the_cue_and_speaks_in_own_turns_only():
    moved = acting([speech(0, 1.0, 2.0, "excited")], 45, FPS, np.random.default_rng(0))
    assert (moved.loudness[15:30] > 0).all()
    assert moved.loudness[:15].max() == moved.loudness[30:].max() == 0
    smile = moved.actions[:, ACTIONS.index("smile")]
    assert smile[15:30].mean() > 0.5
    assert np.abs(smile[:15]).max() < 0.3


def test_the_ten_actors_differ():
    assert len({actor(31, speaker) for speaker in range(10)}) == 10
    assert all(actor(31, speaker)[0].long_hair == (speaker % 2 == 0) for speaker in range(10))


def test_yunet_finds_a_face_in_each_half(frames, detector):
    for frame in frames[::5, :, :, ::-1]:
        for half in (frame[:, :240], frame[:, 240:]):
            (face,) = detector.detect(np.ascontiguousarray(half))
            assert face.score > 0.7
            assert 40 < face.box[3] < 171
