"""Frames of an utterance to the pictures that are kept: the speaker's face found and cut out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.extraction.speakers import speaking_track
from pipeline.extractors.crops import face_crop, whole
from pipeline.extractors.faces import Box, Face
from pipeline.extractors.images import encode_image
from pipeline.extractors.tracks import boxes, largest, lasting, link
from pipeline.frames import Pictures, SpeakerFace
from pipeline.manifest import Utterance
from pipeline.media.video import Frame
from pipeline.settings.frames import FramesSettings


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
