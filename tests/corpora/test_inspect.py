"""What `manifest` finds when it opens the files: digests, ends, what is missing and why."""

import os
from collections.abc import Callable
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
from tests.media.make_media import tone, write_media

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
    ("start", "end", "kept", "kind"),
    [
        (1.0, 2.0, 2.0, None),
        (1.0, 2.55, 2.5, None),
        (1.0, 4.0, 2.5, "short_file"),
        (3.0, 4.0, None, "outside"),
        (2.0, 2.0, None, "bad_times"),
        (2.0, 1.0, None, "bad_times"),
    ],
)
def test_segments_of_a_long_file(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: float,
    end: float,
    kept: float | None,
    kind: str | None,
) -> None:
    monkeypatch.setattr(inspect, "probe", lambda path: FILES["whole.mp4"])
    (workspace / "d.avi").write_text("d")
    (done,), problems = inspected(
        [utterance("u", 0, Segment("d.avi", start, end))], workspace, 60.0, "test"
    )
    assert done.video.end == kept and done.video.start == start
    assert [p.kind for p in problems] == ([kind, kind] if kind else [])
    assert done.video.missing == (kind if kept is None else None)


def test_a_long_segment_is_cut_from_its_start(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "probe", lambda path: FILES["long.mp4"])
    (workspace / "d.avi").write_text("d")
    segment = Segment("d.avi", 100.0, 190.0)
    (done,), problems = inspected([utterance("u", 0, segment)], workspace, 60.0, "test")
    assert done.video.end == 160.0
    assert problems[0].detail == "lasts 90.00 s, 60.00 s are used"


def test_a_clip_cut_short_is_told_and_ends_where_it_ends(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = Probe(VIDEO, AUDIO, 2.5, promised=4.0)
    monkeypatch.setattr(inspect, "probe", lambda path: cut)
    (workspace / "d.mp4").write_text("d")
    (done,), problems = inspected([utterance("u", 0, Segment("d.mp4"))], workspace, 60.0, "test")
    assert done.video.end == 2.5 and done.video.missing is None
    detail = "its header says 4.000 s, the file lasts 2.500 s"
    assert [(p.kind, p.detail) for p in problems] == [("short_file", detail)] * 2


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


def no_moov(whole: bytes) -> bytes:
    return whole[: whole.index(b"moov") - 4]


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    "cut short": (no_moov, "truncated", "no moov atom"),
    "zero bytes": (lambda _: b"", "empty", "0 bytes"),
    "LFS pointer": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "lfs_pointer",
        "git lfs pull",
    ),
    "wrong codec": (
        lambda whole: whole.replace(b"avc1", b"zzzz").replace(b"mp4a", b"yyyy"),
        "no_decoder",
        "no decoder",
    ),
    "random bytes": (lambda _: bytes(range(256)) * 40, "unreadable", "cannot open"),
    "a page of text": (lambda _: b"<html>log in first</html>" * 9, "unreadable", "cannot open"),
}


def test_every_kind_of_broken_media_has_its_own_reason(workspace: Path) -> None:
    whole = write_media(
        workspace / "whole.mp4", stamps=range(10), sound=tone(1, 48000)[None], layout="mono"
    ).read_bytes()
    rows = []
    for turn, (name, (damage, _, _)) in enumerate(BROKEN.items()):
        (workspace / f"{name}.mp4").write_bytes(damage(whole))
        rows.append(utterance(name, turn, Segment(f"{name}.mp4")))
    done, problems = inspected(rows, workspace, 60.0, "test")
    for u in done:
        _, kind, words = BROKEN[u.utterance]
        assert u.video.missing == kind, u.utterance
        assert all(words in p.detail for p in problems if p.utterance == u.utterance)
        told = {(p.modality, p.kind) for p in problems if p.utterance == u.utterance}
        assert ("visual", kind) in told
    assert len({(p.kind, p.detail) for p in problems if p.modality == "visual"}) >= 5


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
