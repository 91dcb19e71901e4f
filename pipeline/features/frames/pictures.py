"""Utterances to pictures: decode, find the speaker's face, cut it out, encode."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pyarrow as pa

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError
from pipeline.features.common.images import encode_image
from pipeline.features.common.once import Entries, Failures, Piece, media_key, pictures_key
from pipeline.features.frames.faces import Box, Face, face_crop, whole
from pipeline.features.frames.settings import FramesSettings
from pipeline.features.frames.speaker import speaking_track
from pipeline.features.frames.tracks import boxes, largest, lasting, link
from pipeline.media.packets import Window
from pipeline.media.video import Frame, Wanted, sample_segments
from pipeline.records.frames import Pictures, SpeakerFace
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance


@dataclass(frozen=True)
class Faces:
    """How faces are found, chosen and cut out.

    Attributes:
        detect: RGB picture to faces.
        margin: Added round a face box, as a share of it.
        speaker: `mouth`: of several tracked faces the one whose mouth moves with the voice, if
            one clearly does; else, and with `largest` always, the largest.
    """

    detect: Callable[[np.ndarray], list[Face]]
    margin: float
    speaker: Literal["mouth", "largest"]


def pictures_of(
    frames: Sequence[Frame],
    utterance: Utterance,
    root: Path,
    settings: FramesSettings,
    faces: Faces,
) -> Pictures:
    """The crops of an utterance's frames.

    Args:
        frames: In order of time, at least one.
        utterance: Whose.
        root: The raw folder its paths are relative to.
        settings: Which crop, which encoding.
        faces: How faces are found, chosen and cut out.
    """
    speaker: SpeakerFace = "not_looked"
    found: list[Box] | None = None
    if settings.crop == "face":
        speaker, found = _speaker(frames, utterance, root, faces)
    if found is None:
        cut = [whole(frame.image) for frame in frames]
    else:
        pairs = zip(frames, found, strict=True)
        cut = [face_crop(frame.image, box, faces.margin) for frame, box in pairs]
    return Pictures(
        times=[frame.time for frame in frames],
        boxes=[[float(v) for v in box] for _, box in cut],
        speaker=speaker,
        images=[encode_image(image, settings.format, settings.quality) for image, _ in cut],
    )


def _speaker(
    frames: Sequence[Frame], utterance: Utterance, root: Path, faces: Faces
) -> tuple[SpeakerFace, list[Box] | None]:
    """How the speaker's face was chosen, and its box in every frame."""
    tracks = lasting(link([faces.detect(frame.image) for frame in frames]), len(frames))
    if not tracks:
        return "none", None
    times = [frame.time for frame in frames]
    if len(tracks) == 1:
        return "one", boxes(tracks[0], times)
    if faces.speaker == "mouth":
        chosen = speaking_track(tracks, frames, utterance, root)
        if chosen is not None:
            return "decided", boxes(chosen, times)
    return "undecided", boxes(largest(tracks), times)


Found = tuple[str, Pictures | None, list[Problem]]


@dataclass(frozen=True)
class FrameMaker:
    """Makes the cache entries of the frames of one video's utterances, in one pass through it.

    Attributes:
        root: The raw folder that paths are relative to.
        settings: How many frames, which crop, which encoding.
        faces: How faces are found and cut out.
        cache: Of `PICTURES` rows.
    """

    root: Path
    settings: FramesSettings
    faces: Faces
    cache: ClipCache

    def __call__(self, pieces: Sequence[Piece]) -> Failures:
        """Puts the entry of each piece, all of the same video; returns what failed, by key."""
        cv2.setNumThreads(1)  # the cores are filled by processes
        failed: Failures = {}
        done: set[str] = set()
        path = self.root / pieces[0].segment.path
        wanted = [self._wanted(piece.segment) for piece in pieces]
        try:
            for place, found in sample_segments(path, self.settings.count, wanted):
                piece = pieces[place]
                done.add(piece.key)
                if isinstance(found, MediaError):
                    failed[piece.key] = found
                    continue
                pictures = pictures_of(found, piece.utterance, self.root, self.settings, self.faces)
                self.cache.put(piece.key, vars(pictures))
        except MediaError as error:
            failed |= {piece.key: error for piece in pieces if piece.key not in done}
        return failed

    def piece(self, utterance: Utterance) -> Piece:
        """What an utterance's entry is made from: the voice too, where it decides whose face."""
        hears = self.settings.crop == "face" and self.faces.speaker == "mouth"
        key = pictures_key(utterance) if hears else media_key(utterance.video)
        return Piece(utterance, utterance.video, key)

    def _wanted(self, segment: Segment) -> Wanted:
        assert segment.end is not None
        length = segment.end - segment.start
        region = None if self.settings.crop == "frame" else segment.region
        return Wanted(Window(segment.start, segment.end, length), region)


def frames_of(utterances: Iterable[Utterance], make: FrameMaker) -> Iterator[Found]:
    """The pictures of each utterance, decoded only if the cache lacks them.

    Args:
        utterances: In manifest order; those of one video stand together.
        make: What makes them.

    Yields:
        Utterance, its pictures (None where missing) and what went wrong.
    """
    videos = groupby(utterances, key=lambda u: u.video.path)
    files = ([make.piece(u) for u in group] for _, group in videos)
    for utterance, entry in Entries(make, make.cache, (__name__,)).of(files):
        yield _found(utterance, entry)


def _found(u: Utterance, entry: pa.RecordBatch | MediaError | None) -> Found:
    if isinstance(entry, MediaError):
        return u.utterance, None, [Problem(u.utterance, "visual", entry.kind, entry.detail)]
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
