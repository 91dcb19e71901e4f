"""The IEMOCAP reader: order, halves, votes, ids, and the trees that users really have."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.base.folders import read_bytes
from pipeline.corpora.iemocap import IemocapOptions, read
from pipeline.demo.iemocap_annotation import CLASSES, AnnotatedTurn, Annotation, Rating
from pipeline.records.manifest import Utterance, Vote
from tests.corpora.iemocap_tree import conversation, lay_out, with_videos

OPTIONS = IemocapOptions(reader="iemocap", full=False, max_seconds=60, letterbox=0.25)


def by_name(utterances: list[Utterance]) -> dict[str, Utterance]:
    return {u.utterance: u for u in utterances}


def test_order_is_the_transcriptions_and_turns_are_counted(tmp_path: Path) -> None:
    names = ["Ses02M_impro01", "Ses01F_script01_1", "Ses01F_impro02"]
    lay_out(tmp_path, [conversation(name, "MFFM") for name in names])
    found = read(tmp_path, OPTIONS).utterances
    assert [u.utterance for u in found] == [
        f"{name}_{turn}" for name in sorted(names) for turn in ("M000", "F000", "F001", "M001")
    ]
    assert [u.turn for u in found] == [0, 1, 2, 3] * 3
    assert [u.session for u in found] == ["1"] * 8 + ["2"] * 4
    assert {u.speaker for u in found} == {"Ses01F", "Ses01M", "Ses02F", "Ses02M"}


def test_one_dialogues_name_may_begin_anothers(tmp_path: Path) -> None:
    one, two = conversation("Ses05M_script01_1", "FM"), conversation("Ses05M_script01_1b", "MMM")
    found = read(lay_out(tmp_path, [one, two]), OPTIONS)
    per_dialogue = {d: sum(u.dialogue == d for u in found.utterances) for d in (one.dialogue,)}
    assert per_dialogue == {"Ses05M_script01_1": 2} and len(found.utterances) == 5


def test_a_turn_of_another_dialogue_is_left_aside(tmp_path: Path) -> None:
    lay_out(tmp_path, [conversation("Ses05M_script01_1", "FM")])
    path = tmp_path / "Session5/dialog/transcriptions/Ses05M_script01_1.txt"
    path.write_text(path.read_text() + "Ses05M_script01_1b_F007 [001.0-002.0]: Not mine.\n")
    found = read(tmp_path, OPTIONS)
    assert len(found.utterances) == 2
    assert found.left_aside["turns of another dialogue"] == 1


def test_the_marked_actor_is_on_the_left(tmp_path: Path) -> None:
    lay_out(tmp_path, [conversation("Ses03F_impro01", "FM")])
    found = read(with_videos(tmp_path), OPTIONS)
    her, him = found.utterances
    assert her.video.region == (0.0, 0.25, 0.5, 0.5) and him.video.region == (0.5, 0.25, 0.5, 0.5)
    assert her.video.path == "Session3/dialog/avi/DivX/Ses03F_impro01.avi"
    assert (him.video.start, him.video.end) == (2.0, 4.0)
    assert him.audio.path == "Session3/sentences/wav/Ses03F_impro01/Ses03F_impro01_M000.wav"
    assert (him.audio.start, him.audio.end, him.audio.region) == (0.0, None, None)


def test_turns_without_an_evaluation_stay_unlabelled(tmp_path: Path) -> None:
    names = ("Ses01F_impro01", "Ses01F_impro02")
    lay_out(tmp_path, [conversation(name, "FM") for name in names])
    folder = tmp_path / "Session1/dialog/EmoEvaluation"
    (folder / "Ses01F_impro02.txt").unlink()
    first = (folder / "Ses01F_impro01.txt").read_text()
    (folder / "Ses01F_impro01.txt").write_text(first.replace("_M000", "_M009"))
    found = read(tmp_path, OPTIONS)
    assert [u.emotion for u in found.utterances] == ["neu", None, None, None]
    assert +found.left_aside == {  # type: ignore[operator]
        "turns without an evaluation": 3,
        "evaluations without a turn": 1,
        "dialogues without an evaluation file": 1,
    }


def test_litter_is_never_read(tmp_path: Path) -> None:
    lay_out(tmp_path, [conversation("Ses01F_impro01", "FM")])
    dialog = tmp_path / "Session1/dialog"
    for name in ("transcriptions/._Ses01F_impro01.txt", "EmoEvaluation/._Ses01F_impro01.txt"):
        (dialog / name).write_bytes(b"\x00\x05\x16\x07")
    (dialog / "EmoEvaluation/Categorical").mkdir()
    (dialog / "EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt").write_text("x :Neutral;\n")
    (dialog / "transcriptions/notes.txt").write_text("mine")
    (dialog / "transcriptions/Ses02F_impro01.txt").write_text("of another session")
    found = read(tmp_path, OPTIONS)
    assert len(found.utterances) == 2
    assert found.left_aside["files that are not transcriptions of their session"] == 2


texts = st.text(st.characters(max_codepoint=255, exclude_characters="\n\r\t"), max_size=30).map(
    lambda t: t.strip() or "Yes."
)
seconds = st.integers(0, 5_000_000).map(lambda n: n / 10_000)
numbers = st.none() | st.integers(1, 5)
words = st.lists(st.sampled_from(sorted(CLASSES)), max_size=3, unique=True).map(tuple)


@st.composite
def ratings(draw: st.DrawFn, letter: str) -> tuple[Rating, ...]:
    names = draw(st.lists(st.sampled_from(["E1", "E2", "E3", f"{letter}1"]), unique=True))
    return tuple(Rating(n, draw(words), draw(numbers), draw(numbers), draw(numbers)) for n in names)


@st.composite
def recorded(draw: st.DrawFn, name: str) -> Annotation:
    letters = draw(st.lists(st.sampled_from("FM"), min_size=1, max_size=6))
    turns = []
    for place, letter in enumerate(letters):
        utterance = f"{name}_{letter}{letters[:place].count(letter):03}"
        code = draw(st.sampled_from([*CLASSES.values(), "xxx"]))
        means = [draw(st.integers(2, 10)) / 2 for _ in range(3)]
        start = draw(seconds)
        times = (start, start + draw(seconds))
        turns.append(
            AnnotatedTurn(
                utterance, draw(texts), *times, code, *means, ratings=draw(ratings(letter))
            )
        )
    return Annotation(name, tuple(turns))


NAMES = ("Ses01F_impro01", "Ses01M_script02_2", "Ses05M_script01_1", "Ses05M_script01_1b")


@pytest.mark.slow
@given(st.tuples(*map(recorded, NAMES)))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_a_tree_read_back_gives_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, dialogues: tuple[Annotation, ...]
) -> None:
    root = lay_out(tmp_path_factory.mktemp("tree"), dialogues)
    found = by_name(read(with_videos(root), OPTIONS).utterances)
    shutil.rmtree(root)
    written = {turn.utterance: turn for one in dialogues for turn in one.turns}
    assert list(found) == list(written)
    for name, turn in written.items():
        u = found[name]
        assert (u.text, u.emotion) == (turn.text, turn.code)
        assert (u.video.start, u.video.end) == pytest.approx((turn.start, turn.end), abs=1e-9)
        assert (u.valence, u.activation, u.dominance) == (
            turn.valence,
            turn.activation,
            turn.dominance,
        )
        assert {v.rater: v for v in u.votes} == {r.rater: vote(r) for r in turn.ratings}


def vote(rating: Rating) -> Vote:
    codes = [CLASSES[word] for word in rating.labels]
    own = rating.rater[0] in "FM"
    return Vote(rating.rater, own, codes, rating.valence, rating.activation, rating.dominance)


def test_trees_that_are_harmless(tmp_path: Path) -> None:
    plain = [conversation("Ses01F_impro01", "FM"), conversation("Ses02F_impro01", "FM")]
    expected = [u.utterance for u in read(lay_out(tmp_path / "plain", plain), OPTIONS).utterances]
    trees = {
        "doubled": lay_out(tmp_path / "a/IEMOCAP_full_release/IEMOCAP_full_release", plain),
        "session in session": lay_out(tmp_path / "b", plain, "Session{0}/Session{0}"),
        "without videos": lay_out(tmp_path / "c/IEMOCAP_full_release_withoutVideos", plain),
        "with spaces": lay_out(tmp_path / "my copy of it", plain, "session {}"),
    }
    for kind, root in trees.items():
        top = tmp_path / root.relative_to(tmp_path).parts[0]
        found = read(top, OPTIONS)
        assert [u.utterance for u in found.utterances] == expected, kind
        (note,) = found.notes
        assert "no video at all" in note
        assert {u.video for u in found.utterances} == {None}
        assert not read(with_videos(top), OPTIONS).notes


def test_videos_as_mp4_and_without_the_folder_divx(tmp_path: Path) -> None:
    lay_out(tmp_path, [conversation("Ses01F_impro01", "F"), conversation("Ses01F_impro02", "F")])
    avi = tmp_path / "Session1/dialog/avi"
    (avi / "DivX").mkdir(parents=True)
    for name in ("DivX/Ses01F_impro01.mp4", "DivX/._Ses01F_impro01.avi", "Ses01F_impro02.avi"):
        (avi / name).touch()
    found = [u.video.path for u in read(tmp_path, OPTIONS).utterances]
    assert found == [
        "Session1/dialog/avi/DivX/Ses01F_impro01.mp4",
        "Session1/dialog/avi/Ses01F_impro02.avi",
    ]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ["found: nothing", "expected: Session1 to Session5", "next: point"]),
        (("IEMOCAP.tar.gz",), ["found: ['IEMOCAP.tar.gz']", "tar -xf", "IEMOCAP.tar.gz -C"]),
        (
            ("my.tar.gz.partaa", "my.tar.gz.partab"),
            ["join the parts: cat", "my.tar.gz* >", "my.tar.gz, then tar -xf"],
        ),
        (("a b.zip",), ["unzip '", "a b.zip' -d"]),
        (("Session1/dialog/transcriptions/x",), ["lacks Session1/dialog/EmoEvaluation"]),
        (
            ("Session1/dialog/transcriptions/x", "Session1/dialog/EmoEvaluation/y"),
            ["holds no transcribed turn"],
        ),
        (
            ("one/Session1/dialog/x", "two/Session1/dialog/x"),
            ["holds the corpus more than once", "point"],
        ),
    ],
)
def test_a_wrong_tree_is_told_with_the_command_that_mends_it(
    tmp_path: Path, names: tuple[str, ...], said: list[str]
) -> None:
    with pytest.raises(PipelineError) as error:
        read(touch(tmp_path, *names), OPTIONS)
    for part in said:
        assert part in str(error.value)


def test_an_archive_in_place_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "iemocap"
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises(PipelineError, match="a file of 2 bytes") as error:
        read(path, OPTIONS)
    assert f"mv {path} {path}.tar, then tar -xf {path}.tar" in str(error.value)


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    names = [f"Ses01F_impro0{number}" for number in (1, 2, 3, 4)]
    lay_out(tmp_path, [conversation(name, "F") for name in names])
    transcriptions, evaluations = (
        tmp_path / "Session1/dialog" / part for part in ("transcriptions", "EmoEvaluation")
    )
    (transcriptions / f"{names[1]}.txt").unlink()
    os.mkfifo(transcriptions / f"{names[1]}.txt")
    (transcriptions / f"{names[2]}.txt").unlink()
    (transcriptions / f"{names[2]}.txt").symlink_to("/dev/zero")
    (evaluations / f"{names[3]}.txt").unlink()
    (evaluations / f"{names[3]}.txt").symlink_to("/dev/zero")
    found = read(tmp_path, OPTIONS)
    assert [(u.dialogue, u.emotion) for u in found.utterances] == [
        (names[0], "neu"),
        (names[3], None),
    ]
    assert found.left_aside["files that are not transcriptions of their session"] == 2
    assert found.left_aside["dialogues without an evaluation file"] == 1


def test_a_pipe_and_a_huge_file_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 2**40)
    with pytest.raises(PipelineError, match="pipe is not a regular file"):
        read_bytes(tmp_path / "pipe")
    with pytest.raises(PipelineError, match="huge has 1099511627776 bytes, expected annotation"):
        read_bytes(tmp_path / "huge")


@given(st.binary(max_size=400), st.binary(max_size=400))
@settings(max_examples=60)
def test_arbitrary_bytes_raise_nothing_but_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, transcription: bytes, evaluation: bytes
) -> None:
    root = tmp_path_factory.mktemp("bytes")
    lay_out(root, [conversation("Ses01F_impro01", "F")])
    home = root / "Session1/dialog"
    (home / "transcriptions/Ses01F_impro01.txt").write_bytes(transcription)
    (home / "EmoEvaluation/Ses01F_impro01.txt").write_bytes(evaluation)
    with suppress(PipelineError):
        read(root, OPTIONS)
    shutil.rmtree(root)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "latin-1 after a mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_an_editor_did_to_the_files_loses_no_turn(
    tmp_path: Path, encoding: str, end: str
) -> None:
    lay_out(tmp_path, [conversation("Ses01F_impro01", "FMF")])
    expected = read(tmp_path, OPTIONS)
    for path in sorted(tmp_path.rglob("*.txt")):
        text = path.read_bytes().decode("latin-1").replace("\n", end).replace("Words", "Wörds")
        if encoding == "utf-16-be":
            path.write_bytes(b"\xfe\xff" + text.encode(encoding))
        elif encoding.startswith("latin-1"):
            path.write_bytes(b"\xef\xbb\xbf" + text.encode("latin-1"))
        else:
            path.write_bytes(text.encode(encoding))
    found = read(tmp_path, OPTIONS)
    assert [u.text for u in found.utterances] == [
        u.text.replace("Words", "Wörds") for u in expected.utterances
    ]
    assert [u.emotion for u in found.utterances] == ["neu"] * 3
    assert found.left_aside == expected.left_aside
