"""What `manifest` finds when it opens the files: digests, ends, what is missing and why."""

import os
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.files import sha256_file
from pipeline.corpora import inspect
from pipeline.corpora.inspect import inspected
from pipeline.media.probe import AudioInfo, Probe, VideoInfo
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance
from tests.inline import run_inline

VIDEO = VideoInfo(320, 240, 25.0, "h264")
AUDIO = AudioInfo(48_000, 2, "stereo", "aac")
Looked = dict[str, Utterance]
FILES = {
    "whole.mp4": Probe(VIDEO, AUDIO, 2.5),
    "mute.mp4": Probe(VIDEO, None, 2.0),
    "long.mp4": Probe(VIDEO, AUDIO, 305.0),
    "still.mp4": Probe(VIDEO, AUDIO, 0.0),
    "odd.mp4": Probe(None, AUDIO, 2.0, ("video",)),
}


def utterance(name: str, turn: int, clip: Segment, emotion: str = "joy") -> Utterance:
    return Utterance(name, "d", turn, "s", "text", clip, clip, emotion)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    run_inline(monkeypatch)


@pytest.fixture
def found(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Looked, list[Problem]]:
    """Each file's utterance as `inspected` completes it, and the ledger."""

    def probe(path: Path) -> Probe:
        if path.name not in FILES:
            raise MediaError("absent", "there is no such file")
        return FILES[path.name]

    monkeypatch.setattr(inspect, "probe", probe)
    utterances = []
    for turn, name in enumerate([*FILES, "gone.mp4"]):
        if name in FILES:
            (workspace / name).write_text(name)
        utterances.append(utterance(name, turn, Segment(name)))
    done, problems = inspected(utterances, workspace, 60.0, "test")
    assert done[0].video.sha256 == sha256_file(workspace / "whole.mp4")
    return {u.utterance: u for u in done}, problems


def test_each_part_of_a_clip_is_masked_alone_and_a_long_one_is_cut(
    found: tuple[Looked, list[Problem]],
) -> None:
    looked, problems = found
    assert {
        name: (u.video.end, u.video.missing, u.audio.end, u.audio.missing)
        for name, u in looked.items()
    } == {
        "whole.mp4": (2.5, None, 2.5, None),
        "mute.mp4": (2.0, None, None, "no_audio"),
        "long.mp4": (60.0, None, 60.0, None),
        "still.mp4": (None, "no_duration", None, "no_duration"),
        "odd.mp4": (None, "no_decoder", 2.0, None),
        "gone.mp4": (None, "absent", None, "absent"),
    }
    cut = [p for p in problems if p.utterance == "long.mp4"]
    assert [(p.modality, p.kind) for p in cut] == [("visual", "cut"), ("audio", "cut")]
    assert cut[0].detail == "lasts 305.00 s, 60.00 s are used"
    assert {p.kind for p in problems if p.utterance == "gone.mp4"} == {"absent"}


@pytest.mark.parametrize(
    ("seconds", "start", "end", "kept", "kind", "detail"),
    [
        (2.5, 1.0, 2.0, 2.0, None, ""),
        (2.5, 1.0, 2.55, 2.5, None, ""),
        (2.5, 1.0, 4.0, 2.5, "short_file", ""),
        (2.5, 3.0, 4.0, None, "outside", ""),
        (2.5, 2.0, 2.0, None, "bad_times", ""),
        (2.5, 2.0, 1.0, None, "bad_times", ""),
        (305.0, 100.0, 190.0, 160.0, "cut", "lasts 90.00 s, 60.00 s are used"),
        (2.5, 0.0, None, 2.5, "short_file", "its header says 4.000 s, the file lasts 2.500 s"),
    ],
)
def test_segments_of_a_file(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    start: float,
    end: float | None,
    kept: float | None,
    kind: str | None,
    detail: str,
) -> None:
    found = Probe(VIDEO, AUDIO, seconds, promised=4.0 if end is None else None)
    monkeypatch.setattr(inspect, "probe", lambda path: found)
    (workspace / "d.avi").write_text("d")
    rows = [utterance("u", 0, Segment("d.avi", start, end))]
    (done,), problems = inspected(rows, workspace, 60.0, "test")
    assert (done.video.start, done.video.end) == (start, kept)
    assert [p.kind for p in problems] == ([kind, kind] if kind else [])
    assert all(detail in p.detail for p in problems)
    assert done.video.missing == (kind if kept is None else None)


def test_identical_clips_are_told_with_both_labels(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "probe", lambda path: FILES["whole.mp4"])
    labels = {"a.mp4": "joy", "b.mp4": "anger", "c.mp4": "joy", "d.mp4": "fear"}
    for name in labels:
        (workspace / name).write_text("other" if name == "d.mp4" else "same")
    rows = [utterance(n, t, Segment(n), e) for t, (n, e) in enumerate(labels.items())]
    done, problems = inspected(rows, workspace, 60.0, "test")
    assert problems == [
        Problem(
            "b.mp4",
            "visual",
            "identical_other_label",
            "the same bytes as a.mp4 of a.mp4: anger here, joy there",
        ),
        Problem(
            "c.mp4",
            "visual",
            "identical",
            "the same bytes as a.mp4 of a.mp4: joy here, joy there",
        ),
    ]
    assert all(u.video.missing is None for u in done)
    for modalities, count in ((("text", "audio"), 2), (("text",), 0)):
        _, others = inspected(rows, workspace, 60.0, "test", modalities)
        assert [p.modality for p in others] == ["audio"] * count


def test_a_file_is_opened_and_hashed_once_until_it_changes(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def digest(path: Path) -> str:
        hashed.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr(inspect, "sha256_file", digest)
    monkeypatch.setattr(inspect, "probe", lambda path: FILES["whole.mp4"])
    (workspace / "d.avi").write_text("d")
    rows = [utterance(f"u{n}", n, Segment("d.avi", n / 2, n / 2 + 0.5)) for n in range(4)]
    first = inspected(rows, workspace, 60.0, "test")
    assert hashed == ["d.avi"]
    assert inspected(rows, workspace, 60.0, "test") == first and hashed == ["d.avi"]
    (workspace / "d.avi").write_text("e")
    os.utime(workspace / "d.avi", ns=(1, 1))
    changed, _ = inspected(rows, workspace, 60.0, "test")
    assert hashed == ["d.avi", "d.avi"]
    assert changed[0].video.sha256 != first[0][0].video.sha256


@pytest.mark.parametrize("way", ["written over", "moved over"])
def test_other_bytes_of_the_same_size_and_time_are_looked_at_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(inspect, "probe", lambda path: FILES["whole.mp4"])
    clip, other = workspace / "d.avi", workspace / "other.avi"
    for file, text in ((clip, "first"), (other, "other")):
        file.write_text(text)
        os.utime(file, ns=(1, 1))
    rows = [utterance("u", 0, Segment("d.avi"))]
    first, _ = inspected(rows, workspace, 60.0, "test")
    if way == "moved over":
        other.replace(clip)
    else:
        clip.write_text("other")
        os.utime(clip, ns=(1, 1))
    assert (clip.stat().st_size, clip.stat().st_mtime_ns) == (5, 1)
    second, _ = inspected(rows, workspace, 60.0, "test")
    assert second[0].video.sha256 == sha256_file(clip) != first[0].video.sha256


def test_a_file_that_is_written_while_it_is_read_is_read_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, writes = workspace / "d.avi", ["second", "third"]
    clip.write_text("first")

    def probe(path: Path) -> Probe:
        if writes:
            path.write_text(writes.pop(0))
        return FILES["whole.mp4"]

    monkeypatch.setattr(inspect, "probe", probe)
    rows = [utterance("u", 0, Segment("d.avi"))]
    done, _ = inspected(rows, workspace, 60.0, "test")
    assert clip.read_text() == "third" and done[0].video.sha256 == sha256_file(clip)
    writes += ["4", "5", "6", "7"]
    os.utime(clip, ns=(2, 2))
    with pytest.raises(PipelineError, match="changed each of 3 times while it was read"):
        inspected(rows, workspace, 60.0, "test")


@pytest.mark.parametrize("on_disk", ["NFD", "NFC"])
def test_a_file_is_found_however_its_letters_are_composed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, on_disk: Literal["NFD", "NFC"]
) -> None:
    """A Mac writes `é` as two letters into the file's name, an editor as one into the CSV."""

    def probe(path: Path) -> Probe:
        if not path.exists():
            raise MediaError("absent", "there is no such file")
        return FILES["whole.mp4"]

    monkeypatch.setattr(inspect, "probe", probe)
    names = [normalize("NFC", "café/Zoë 각.mp4"), normalize("NFD", "café/Zoë 각.mp4")]
    clip = workspace / normalize(on_disk, names[0])
    clip.parent.mkdir()
    clip.touch()
    rows = [utterance(f"u{n}", n, Segment(name)) for n, name in enumerate([*names, "é.mp4"])]
    done, _ = inspected(rows, workspace, 60.0, "test")
    found = clip.relative_to(workspace).as_posix()
    assert [u.audio.path for u in done] == [found, found, "é.mp4"]
