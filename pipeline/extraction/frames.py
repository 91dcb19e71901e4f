"""Utterances to pictures: decode, find the face, cut it out, encode."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

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
from pipeline.media.packets import Segment as Stretch
from pipeline.media.video import Frame, Wanted, sample_segments
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
    files = [list(group) for _, group in groupby(utterances, key=lambda u: u.video.path)]

    def work(group: list[Utterance]) -> list[Found]:
        return _of_file(group, root, settings, faces, cache)

    return chain.from_iterable(ordered_map(work, files))


def _of_file(
    group: list[Utterance], root: Path, settings: FramesSettings, faces: Faces, cache: ClipCache
) -> list[Found]:
    """The pictures of all utterances of one video; what the cache lacks is decoded in one pass."""
    usable = [u for u in group if u.video.missing is None]
    entries = {u.utterance: cache.get(media_key(u.video)) for u in usable}
    lacking = [u for u in usable if entries[u.utterance] is None]
    failed: dict[str, MediaError] = {}
    try:
        for place, found in _sampled(lacking, root, settings.count):
            u = lacking[place]
            if isinstance(found, MediaError):
                failed[u.utterance] = found
            else:
                row = vars(_pictures(found, settings, faces))
                entries[u.utterance] = cache.put(media_key(u.video), row)
    except MediaError as error:
        failed |= {u.utterance: error for u in lacking if entries[u.utterance] is None}
    return [_found(u, entries.get(u.utterance), failed.get(u.utterance), settings) for u in group]


def _sampled(
    utterances: Sequence[Utterance], root: Path, count: int
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    if not utterances:
        return iter(())
    return sample_segments(
        root / utterances[0].video.path, count, [_wanted(u.video) for u in utterances]
    )


def _wanted(segment: Segment) -> Wanted:
    assert segment.end is not None
    length = segment.end - segment.start
    return Wanted(Stretch(segment.start, segment.end, length), segment.region)


def _found(
    u: Utterance,
    entry: pa.RecordBatch | None,
    error: MediaError | None,
    settings: FramesSettings,
) -> Found:
    if error is not None:
        return u.utterance, None, [Problem(u.utterance, "visual", error.kind, error.detail)]
    if entry is None:
        return u.utterance, None, []
    pictures = pictures_in(entry)
    return u.utterance, pictures, _notes(u, pictures, settings)


def pictures_in(batch: pa.RecordBatch) -> Pictures:
    """The pictures of a cache entry."""
    (row,) = batch.to_pylist()
    return Pictures(**row)


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
