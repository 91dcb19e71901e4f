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
from pipeline.features.frames.faces import Box, Face, box_scaled, face_crop, whole
from pipeline.features.frames.settings import FramesSettings
from pipeline.features.frames.speaker import speaking_track
from pipeline.features.frames.tracks import boxes, lasting, link, most_prominent
from pipeline.media.packets import Window
from pipeline.media.upright import MILLION
from pipeline.media.video import Frame, Wanted, sample_segments
from pipeline.records.frames import Pictures, SpeakerFace
from pipeline.records.manifest import Segment, Utterance


@dataclass(frozen=True)
class Faces:
    """How faces are found, chosen and cut out.

    The speaker's, of several tracked faces, is with `mouth` the one whose mouth moves with the
    voice where one clearly does, else the most prominent, with `largest` always the latter.
    """

    detect: Callable[[np.ndarray], list[Face]]  # of uint8 RGB [height, width, 3]
    margin: float  # added round a face box, as a share of it
    speaker: Literal["mouth", "largest"]


def put_pictures(
    pieces: Sequence[Piece], root: Path, settings: FramesSettings, faces: Faces, cache: ClipCache
) -> Failures:
    """Put the `PICTURES` of one video's utterances into a cache; return what failed, by key."""
    cv2.setNumThreads(1)  # the cores are filled by processes
    cv2.ipp.setUseIPP(False)  # its last bits depend on the CPU type
    failed: Failures = {}
    done: set[str] = set()
    wanted = [_wanted(piece.segment, settings) for piece in pieces]
    most = settings.max_megapixels * MILLION
    try:
        video = root / pieces[0].segment.path
        for piece in pieces:
            check_content(root, piece)
        for place, frames in sample_segments(video, settings.count, wanted, most):
            piece = pieces[place]
            done.add(piece.key)
            if isinstance(frames, MediaError):
                failed[piece.key] = frames
                continue
            pictures = pictures_of(frames, piece.utterance, root, settings, faces)
            check_content(root, piece)
            cache.put(piece.key, vars(pictures))
    except cv2.error as error:
        if error.code != cv2.Error.StsNoMem:
            raise
        raise MemoryError(str(error)) from error
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
    shown: Sequence[Box | None] = [None] * len(frames)
    if settings.crop == "face":
        speaker, shown = _speaker(frames, utterance, root, faces)
    cut = [
        whole(frame.image) if box is None else face_crop(frame.image, box, faces.margin)
        for frame, box in zip(frames, shown, strict=True)
    ]
    return Pictures(
        times=[frame.time for frame in frames],
        boxes=[
            list(box_scaled(box, 1 / frame.image.shape[1], 1 / frame.image.shape[0]))
            for frame, (_, box) in zip(frames, cut, strict=True)
        ],
        speaker=speaker,
        images=[encode_image(image, settings.format, settings.quality) for image, _ in cut],
    )


def _speaker(
    frames: Sequence[Frame], utterance: Utterance, root: Path, faces: Faces
) -> tuple[SpeakerFace, Sequence[Box | None]]:
    """How the speaker's face was chosen, and its box in every frame of a shot that shows it."""
    times, shots = [frame.time for frame in frames], [frame.shot for frame in frames]
    height, width = frames[0].image.shape[:2]
    # How often the first picture's size each picture has: a stream's size may change.
    sizes = [(f.image.shape[1] / width, f.image.shape[0] / height) for f in frames]
    detected = [
        [face.scaled(1 / x, 1 / y) for face in faces.detect(frame.image)]
        for frame, (x, y) in zip(frames, sizes, strict=True)
    ]
    tracks = lasting(link(detected, shots), len(frames))
    if not tracks:
        return "none", [None] * len(frames)
    choice: SpeakerFace = "one" if len(tracks) == 1 else "undecided"
    track = most_prominent(tracks)
    if choice != "one" and faces.speaker == "mouth":
        speaking = speaking_track(tracks, frames, utterance, root)
        choice, track = ("decided", speaking) if speaking is not None else (choice, track)
    shown = zip(boxes(track, times, shots), sizes, strict=True)
    return choice, [box and box_scaled(box, x, y) for box, (x, y) in shown]
