"""Utterances to pictures: decode, find the speaker's face, cut it out, encode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError
from pipeline.features.common.images import encode_image
from pipeline.features.common.once import Failures, Piece, check_content
from pipeline.features.frames.faces import Box, Face, face_crop, whole
from pipeline.features.frames.settings import FramesSettings
from pipeline.features.frames.speaker import speaking_track
from pipeline.features.frames.tracks import boxes, largest, lasting, link
from pipeline.media.packets import Window
from pipeline.media.video import Frame, Wanted, sample_segments
from pipeline.records.frames import Pictures, SpeakerFace
from pipeline.records.manifest import Segment, Utterance


@dataclass(frozen=True)
class Faces:
    """How faces are found, chosen and cut out.

    Attributes:
        detect: uint8 RGB [height, width, 3] to faces.
        margin: Added round a face box, as a share of it.
        speaker: Of several tracked faces; `mouth`: the one whose mouth moves with the voice where
            one clearly does, else the largest; `largest`: always the largest.
    """

    detect: Callable[[np.ndarray], list[Face]]
    margin: float
    speaker: Literal["mouth", "largest"]


def put_pictures(
    pieces: Sequence[Piece], root: Path, settings: FramesSettings, faces: Faces, cache: ClipCache
) -> Failures:
    """Put the pictures of one video's utterances into a cache, in one pass through the video.

    Args:
        pieces: All of the same video.
        root: The raw folder that paths are relative to.
        settings: Sampling, crop and encoding.
        faces: How faces are found, chosen and cut out.
        cache: Of `PICTURES` rows.

    Returns:
        What failed, by key.

    Raises:
        PipelineError: A file is not the one of its digest.
    """
    cv2.setNumThreads(1)  # the cores are filled by processes
    cv2.ipp.setUseIPP(False)  # its last bits depend on the CPU type
    failed: Failures = {}
    done: set[str] = set()
    wanted = [_wanted(piece.segment, settings) for piece in pieces]
    try:
        video = root / pieces[0].segment.path
        for piece in pieces:
            check_content(root, piece)
        for place, frames in sample_segments(video, settings.count, wanted):
            piece = pieces[place]
            done.add(piece.key)
            if isinstance(frames, MediaError):
                failed[piece.key] = frames
                continue
            pictures = pictures_of(frames, piece.utterance, root, settings, faces)
            check_content(root, piece)
            cache.put(piece.key, vars(pictures))
    except MediaError as error:
        failed |= {piece.key: error for piece in pieces if piece.key not in done}
    return failed


def _wanted(segment: Segment, settings: FramesSettings) -> Wanted:
    assert segment.end is not None
    window = Window(segment.start, segment.end, segment.end - segment.start)
    return Wanted(window, None if settings.crop == "frame" else segment.region)


def pictures_of(
    frames: Sequence[Frame],
    utterance: Utterance,
    root: Path,
    settings: FramesSettings,
    faces: Faces,
) -> Pictures:
    """Crop and encode an utterance's frames, at least one, in order of time."""
    speaker: SpeakerFace = "not_looked"
    shown: list[Box] | None = None
    if settings.crop == "face":
        speaker, shown = _speaker(frames, utterance, root, faces)
    if shown is None:
        cut = [whole(frame.image) for frame in frames]
    else:
        pairs = zip(frames, shown, strict=True)
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
