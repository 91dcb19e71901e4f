"""Utterances to pictures: decode, find the face, cut it out, encode."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.cache import ClipCache
from pipeline.errors import MediaError
from pipeline.extraction.keys import media_key
from pipeline.extractors.faces import Face, choose_boxes, crop
from pipeline.extractors.images import encode_image
from pipeline.frames import Pictures
from pipeline.jobs import ordered_map
from pipeline.ledger import Problem
from pipeline.manifest import Segment, Utterance
from pipeline.media.video import Frame, sample_frames
from pipeline.settings.frames import FramesSettings

Found = tuple[str, Pictures | None, list[Problem]]


@dataclass(frozen=True)
class Faces:
    """How faces are found and cut out.

    Attributes:
        detect: RGB picture to faces; called from several threads.
        margin: Added round a face box, as a share of it.
    """

    detect: Callable[[np.ndarray], list[Face]]
    margin: float


def frames_of(
    utterances: Sequence[Utterance],
    root: Path,
    settings: FramesSettings,
    faces: Faces,
    cache: ClipCache,
) -> Iterator[Found]:
    """The pictures of each utterance, decoded only if the cache lacks them.

    Args:
        utterances: In manifest order.
        root: The raw folder their paths are relative to.
        settings: How many frames, which crop, which encoding.
        faces: How faces are found and cut out.
        cache: Of `PICTURES` rows.

    Yields:
        Utterance, its pictures (None where missing) and what went wrong.
    """

    def work(utterance: Utterance) -> Found:
        segment = utterance.video
        if segment.missing is not None:
            return utterance.utterance, None, []
        key = media_key(segment)
        try:
            batch = cache.get(key) or cache.put(key, _row(root, segment, settings, faces))
        except MediaError as error:
            problem = Problem(utterance.utterance, "visual", error.kind, error.detail)
            return utterance.utterance, None, [problem]
        pictures = pictures_in(batch)
        return utterance.utterance, pictures, _notes(utterance, pictures, settings)

    return ordered_map(work, utterances)


def pictures_in(batch: pa.RecordBatch) -> Pictures:
    """The pictures of a cache entry."""
    (row,) = batch.to_pylist()
    return Pictures(**row)


def _row(root: Path, segment: Segment, settings: FramesSettings, faces: Faces) -> dict[str, Any]:
    assert segment.end is not None
    frames = sample_frames(
        root / segment.path,
        settings.count,
        start=segment.start,
        end=segment.end,
        region=segment.region,
        max_seconds=segment.end - segment.start,
    )
    return vars(_pictures(frames, settings, faces))


def _pictures(frames: Sequence[Frame], settings: FramesSettings, faces: Faces) -> Pictures:
    found = [faces.detect(frame.image) for frame in frames] if settings.crop == "face" else []
    boxes = choose_boxes(found) if found else [None] * len(frames)
    cut = [crop(f.image, box, faces.margin) for f, box in zip(frames, boxes, strict=True)]
    return Pictures(
        times=[frame.time for frame in frames],
        boxes=[[float(v) for v in box] for _, box in cut],
        face=any(found),
        images=[encode_image(image, settings.format, settings.quality) for image, _ in cut],
    )


def _notes(utterance: Utterance, pictures: Pictures, settings: FramesSettings) -> list[Problem]:
    if settings.crop == "region" or pictures.face:
        return []
    detail = f"in none of {len(pictures.images)} frames; the middle of the picture is used"
    return [Problem(utterance.utterance, "visual", "no_face", detail)]
