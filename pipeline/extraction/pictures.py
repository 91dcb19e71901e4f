"""Frames of an utterance to the pictures that are kept: the speaker's face found and cut out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.extractors.faces import Face, choose_boxes, crop
from pipeline.extractors.images import encode_image
from pipeline.frames import Pictures
from pipeline.manifest import Utterance
from pipeline.media.video import Frame
from pipeline.settings.frames import FramesSettings


@dataclass(frozen=True)
class Faces:
    """How faces are found and cut out.

    Attributes:
        detect: RGB picture to faces; called from several threads.
        margin: Added round a face box, as a share of it.
    """

    detect: Callable[[np.ndarray], list[Face]]
    margin: float


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
        faces: How faces are found and cut out.
    """
    found = [faces.detect(frame.image) for frame in frames] if settings.crop == "face" else []
    boxes = choose_boxes(found) if found else [None] * len(frames)
    cut = [crop(f.image, box, faces.margin) for f, box in zip(frames, boxes, strict=True)]
    return Pictures(
        times=[frame.time for frame in frames],
        boxes=[[float(v) for v in box] for _, box in cut],
        face=any(found),
        images=[encode_image(image, settings.format, settings.quality) for image, _ in cut],
    )
