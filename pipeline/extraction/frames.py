"""Utterances to pictures: decode, find the face, cut it out, encode."""

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path

import pyarrow as pa

from pipeline.cache import ClipCache
from pipeline.errors import MediaError
from pipeline.extraction.keys import pictures_key
from pipeline.extraction.pictures import Faces, pictures_of
from pipeline.frames import Pictures
from pipeline.jobs import ordered_map
from pipeline.ledger import Problem
from pipeline.manifest import Segment, Utterance
from pipeline.media.packets import Segment as Stretch
from pipeline.media.video import Frame, Wanted, sample_segments
from pipeline.settings.frames import FramesSettings

Found = tuple[str, Pictures | None, list[Problem]]


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
    entries = {u.utterance: cache.get(pictures_key(u)) for u in usable}
    lacking = [u for u in usable if entries[u.utterance] is None]
    failed: dict[str, MediaError] = {}
    try:
        for place, found in _sampled(lacking, root, settings):
            u = lacking[place]
            if isinstance(found, MediaError):
                failed[u.utterance] = found
            else:
                row = vars(pictures_of(found, u, root, settings, faces))
                entries[u.utterance] = cache.put(pictures_key(u), row)
    except MediaError as error:
        failed |= {u.utterance: error for u in lacking if entries[u.utterance] is None}
    return [_found(u, entries.get(u.utterance), failed.get(u.utterance)) for u in group]


def _sampled(
    utterances: Sequence[Utterance], root: Path, settings: FramesSettings
) -> Iterator[tuple[int, list[Frame] | MediaError]]:
    if not utterances:
        return iter(())
    wanted = [_wanted(u.video, settings) for u in utterances]
    return sample_segments(root / utterances[0].video.path, settings.count, wanted)


def _wanted(segment: Segment, settings: FramesSettings) -> Wanted:
    assert segment.end is not None
    length = segment.end - segment.start
    region = None if settings.crop == "frame" else segment.region
    return Wanted(Stretch(segment.start, segment.end, length), region)


def _found(u: Utterance, entry: pa.RecordBatch | None, error: MediaError | None) -> Found:
    if error is not None:
        return u.utterance, None, [Problem(u.utterance, "visual", error.kind, error.detail)]
    if entry is None:
        return u.utterance, None, []
    pictures = pictures_in(entry)
    return u.utterance, pictures, _notes(u, pictures)


def pictures_in(batch: pa.RecordBatch) -> Pictures:
    """The pictures of a cache entry."""
    (row,) = batch.to_pylist()
    return Pictures(**row)


def _notes(utterance: Utterance, pictures: Pictures) -> list[Problem]:
    if pictures.speaker != "none":
        return []
    detail = f"in none of {len(pictures.images)} frames; the whole region is shown"
    return [Problem(utterance.utterance, "visual", "no_face", detail)]
