"""The feature steps between files and stores: cached, in order, masked where media are broken."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.params import read_params
from pipeline.features.audio import extract as audio
from pipeline.features.common import sound
from pipeline.features.common.images import decode_image, encode_image
from pipeline.features.common.once import Tally
from pipeline.features.frames import pictures as frames
from pipeline.features.frames.pictures import Faces, FrameMaker, frames_of
from pipeline.features.frames.settings import FramesSettings
from pipeline.media.video import Frame, Wanted
from pipeline.records.features import VECTORS
from pipeline.records.frames import PICTURES, Pictures, present_rows, read_frames, write_frames
from pipeline.records.ledger import Problem, read_ledger
from pipeline.records.manifest import Segment, Utterance
from tests.conftest import ROOT
from tests.inline import run_inline

GONE = Segment("gone.mp4", missing="absent")


def utterance(turn: int, content: str | None, words: str = "") -> Utterance:
    clip = GONE if content is None else Segment(f"{turn}.mp4", end=1.0, sha256=content)
    return Utterance(f"u{turn}", "d", turn, "s", words or f"text {turn}", clip, clip)


@pytest.fixture
def settings() -> FramesSettings:
    return read_params(ROOT / "params.yaml").of(FramesSettings, "demo_meld")


def test_broken_clips_are_masked_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: FramesSettings
) -> None:
    decoded: list[str] = []

    def sample(path: Path, count: int, wanted: list[Wanted]) -> Iterator[tuple[int, list[Frame]]]:
        decoded.append(path.name)
        if path.name == "1.mp4":
            raise MediaError("unreadable", "no moov atom")
        for place in range(len(wanted)):
            yield place, [Frame(0.5, np.full((40, 60, 3), 90, np.uint8))]

    run_inline(monkeypatch)
    monkeypatch.setattr(frames, "sample_segments", sample)
    rows = [utterance(0, "aa"), utterance(1, "bb"), utterance(2, None), utterance(3, "aa")]
    cache = ClipCache("frames", 1, PICTURES, tmp_path)
    faces = Faces(lambda image: [], 0.3, "largest")

    def found() -> list[frames.Found]:
        return list(frames_of(rows, FrameMaker(tmp_path, settings, faces, cache)))

    first = found()
    assert [(name, pictures is not None) for name, pictures, _ in first] == [
        ("u0", True),
        ("u1", False),
        ("u2", False),
        ("u3", True),
    ]
    assert first[1][2] == [Problem("u1", "visual", "unreadable", "no moov atom")]
    assert first[0][2][0].kind == "no_face"
    assert first[0][1].speaker == "none"  # type: ignore[union-attr]
    decoded.clear()
    assert found() == first
    assert decoded == ["1.mp4"], "what worked is cached, what failed is tried again"


def test_a_dialogues_video_is_opened_once_for_what_the_cache_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: FramesSettings
) -> None:
    opened: list[list[float]] = []

    def sample(
        path: Path, count: int, wanted: list[Wanted]
    ) -> Iterator[tuple[int, list[Frame] | MediaError]]:
        starts = [w.window.start for w in wanted]
        opened.append(starts)
        for place in reversed(range(len(wanted))):
            late = starts[place] > 4
            image = np.full((40, 60, 3), 20 * starts[place], np.uint8)
            yield place, MediaError("no_frames", "late") if late else [Frame(0.5, image)]

    run_inline(monkeypatch)
    monkeypatch.setattr(frames, "sample_segments", sample)

    def turn(number: int) -> Utterance:
        segment = Segment("d.avi", start=number, end=number + 1.5, sha256="aa")
        return Utterance(f"u{number}", "d", number, "s", "text", segment, GONE)

    cache, faces = (
        ClipCache("frames", 1, PICTURES, tmp_path),
        Faces(lambda image: [], 0.3, "largest"),
    )
    make = FrameMaker(tmp_path, settings, faces, cache)
    list(frames_of([turn(1), turn(3)], make))
    found = list(frames_of([turn(n) for n in range(6)], make))
    assert opened == [[1, 3], [0, 2, 4, 5]]
    assert [name for name, _, _ in found] == [f"u{n}" for n in range(6)]
    assert [p.kind for _, _, problems in found for p in problems if p.kind != "no_face"] == [
        "no_frames"
    ]
    assert found[5][1] is None and all(pictures for _, pictures, _ in found[:5])
    middles = [decode_image(p.images[0])[112] for _, p, _ in found if p is not None]
    levels = [middle.mean() for middle in middles]
    assert levels == pytest.approx([0, 20, 40, 60, 80], abs=2)


def test_frame_stores_read_back_and_are_stable(tmp_path: Path) -> None:
    image = encode_image(np.zeros((8, 8, 3), np.uint8), "png", 95)
    rows = [
        (f"u{n}", None if n % 3 == 0 else Pictures([0.5], [[0, 0, 8, 8]], "one", [image]))
        for n in range(40)
    ]
    for name in ("a", "b"):
        write_frames(tmp_path / name, iter(rows), {"extractor": "frames"})
    assert list(read_frames(tmp_path / "a")) == rows
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert present_rows(tmp_path / "a") == [n for n in range(40) if n % 3]
    assert list(read_frames(tmp_path / "a", {1, 3, 39})) == [rows[1], rows[3], rows[39]]


def test_audio_is_computed_once_per_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(path: Path, **_: object) -> np.ndarray:
        loaded.append(path.name)
        return np.full(10, int(path.stem), np.float32)

    run_inline(monkeypatch)
    monkeypatch.setattr(sound, "load_mono", load)
    cache = ClipCache("audio", 1, VECTORS, tmp_path)
    rows = [utterance(0, "aa"), utterance(1, None), utterance(2, "cc")]

    def found() -> list[audio.Found]:
        make = audio.AudioMaker(tmp_path, lambda s, r: s[:2], cache)
        return list(audio.audio_of(rows, make))

    first = found()
    assert [None if v is None else v.tolist() for _, v, _ in first] == [[[0, 0]], None, [[2, 2]]]
    loaded.clear()
    found()
    assert loaded == []


def test_the_tally_writes_the_ledger_and_refuses_an_empty_modality(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = Problem("u1", "audio", "no_audio", "x")
    tally = Tally("audio")
    passed = list(tally.counted([("u0", 1, []), ("u1", None, [problem])]))
    assert passed == [("u0", 1), ("u1", None)]
    tally.close(tmp_path / "l.parquet")
    tally.check("toy")
    assert read_ledger(tmp_path / "l.parquet") == [problem]
    assert "1 utterances, 1 masked" in capsys.readouterr().out
    empty = Tally("audio")
    list(empty.counted([("u1", None, [problem])]))
    with pytest.raises(PipelineError, match="none of 1 utterances has audio"):
        empty.check("toy")
