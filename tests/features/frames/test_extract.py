"""Utterances to cache entries of pictures: once, in order, masked where a video is broken."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError
from pipeline.features.common.images import decode_image
from pipeline.features.common.once import Entries, Outcome
from pipeline.features.frames import pictures
from pipeline.features.frames.extract import CODE, FrameMaker, frames_of
from pipeline.features.frames.faces import FaceDetector
from pipeline.features.frames.settings import FacesSettings, FramesSettings
from pipeline.media.video import Frame, Wanted
from pipeline.records.frames import PICTURES, pictures_in
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance
from tests.inline import run_inline

GONE = Segment("gone.mp4", missing="absent")


def utterance(turn: int, content: str | None) -> Utterance:
    clip = GONE if content is None else Segment(f"{turn}.mp4", end=1.0, sha256=content)
    return Utterance(f"u{turn}", "d", turn, "s", "text", clip, clip)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrameMaker:
    """Makes entries here, and finds no face."""
    run_inline(monkeypatch)
    monkeypatch.setattr(FaceDetector, "detect", lambda *_: [])
    settings = FramesSettings(count=1, crop="face", format="jpeg", quality=95, max_megapixels=16)
    faces = FacesSettings(encoder="yunet", score_threshold=0.6, margin=0.3, speaker="largest")
    cache = ClipCache("frames", 1, PICTURES, tmp_path)
    return FrameMaker(tmp_path, settings, faces, None, cache)


def rows_of(utterances: Sequence[Utterance], make: FrameMaker) -> Iterator[Outcome[pa.RecordBatch]]:
    return frames_of(Entries(make, make.cache, CODE).of(make.files(utterances)))


def test_what_never_had_a_video_is_masked_without_a_problem_and_without_a_voice_looked_at(
    make: FrameMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "sample_segments", lambda *_: iter([(0, frames_of_grey())]))
    mouth = replace(make, faces=make.faces.model_copy(update={"speaker": "mouth"}))
    silent = replace(utterance(0, "aa"), audio=None)
    rows = [replace(utterance(1, "bb"), video=None), replace(silent, utterance="v", video=None)]
    assert [plain(made) for made in rows_of(rows, mouth)] == [("u1", None, []), ("v", None, [])]
    ((_, shown, problems),) = map(plain, rows_of([silent], mouth))
    assert shown.speaker == "none" and [p.kind for p in problems] == ["no_face"]


def frames_of_grey() -> list[Frame]:
    return [Frame(0.5, np.full((40, 60, 3), 90, np.uint8))]


def plain(outcome: Outcome[pa.RecordBatch]) -> tuple[str, Any, list[Problem]]:
    name, batch, problems = outcome
    return name, None if batch is None else pictures_in(batch), list(problems)


def test_broken_clips_are_masked_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, make: FrameMaker
) -> None:
    decoded: list[str] = []

    def sample(
        path: Path, count: int, wanted: list[Wanted], most_pixels: int
    ) -> Iterator[tuple[int, list[Frame]]]:
        decoded.append(path.name)
        if path.name == "1.mp4":
            raise MediaError("unreadable", "no moov atom")
        for place in range(len(wanted)):
            yield place, [Frame(0.5, np.full((40, 60, 3), 90, np.uint8))]

    monkeypatch.setattr(pictures, "sample_segments", sample)
    rows = [utterance(0, "aa"), utterance(1, "bb"), utterance(2, None), utterance(3, "aa")]
    first = list(map(plain, rows_of(rows, make)))
    assert [(name, kept is not None) for name, kept, _ in first] == [
        ("u0", True),
        ("u1", False),
        ("u2", False),
        ("u3", True),
    ]
    assert first[1][2] == [Problem("u1", "visual", "unreadable", "no moov atom")]
    detail = "in none of 1 frames; the whole region is shown"
    assert first[0][2] == [Problem("u0", "visual", "no_face", detail)]
    assert first[0][1].speaker == "none"
    decoded.clear()
    assert list(map(plain, rows_of(rows, make))) == first
    assert decoded == ["1.mp4"], "what worked is cached, what failed is tried again"


def test_a_dialogues_video_is_opened_once_for_what_the_cache_lacks(
    monkeypatch: pytest.MonkeyPatch, make: FrameMaker
) -> None:
    opened: list[list[float]] = []

    def sample(
        path: Path, count: int, wanted: list[Wanted], most_pixels: int
    ) -> Iterator[tuple[int, list[Frame] | MediaError]]:
        starts = [w.window.start for w in wanted]
        opened.append(starts)
        for place in reversed(range(len(wanted))):
            late = starts[place] > 4
            image = np.full((40, 60, 3), 20 * starts[place], np.uint8)
            yield place, MediaError("no_frames", "late") if late else [Frame(0.5, image)]

    monkeypatch.setattr(pictures, "sample_segments", sample)

    def turn(number: int) -> Utterance:
        segment = Segment("d.avi", start=number, end=number + 1.5, sha256="aa")
        return Utterance(f"u{number}", "d", number, "s", "text", segment, GONE)

    list(rows_of([turn(1), turn(3)], make))
    found = list(map(plain, rows_of([turn(n) for n in range(6)], make)))
    assert opened == [[1, 3], [0, 2, 4, 5]]
    assert [name for name, _, _ in found] == [f"u{n}" for n in range(6)]
    assert [p.kind for _, _, problems in found for p in problems if p.kind != "no_face"] == [
        "no_frames"
    ]
    assert found[5][1] is None
    middles = [decode_image(kept.images[0])[112] for _, kept, _ in found[:5]]
    levels = [middle.mean() for middle in middles]
    assert levels == pytest.approx([0, 20, 40, 60, 80], abs=2)
