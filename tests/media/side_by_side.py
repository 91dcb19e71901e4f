"""Clips of two people side by side, of whom one is heard."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from pipeline.media.audio import load_mono
from tests.media.make_media import write_media
from tests.media.one_segment import sample_frames

RATE = 48_000
# The clips end, mouth closed, at least so many frames after the last word.
STILL = 15
Pictures = list[np.ndarray]


def pictures_of(clip: Path, scale: float = 1.0) -> Pictures:
    """All pictures of a short clip, RGB [height, width, 3]."""
    images = [frame.image for frame in sample_frames(clip, 500, max_seconds=60)]
    if scale == 1:
        return images
    return [cv2.resize(i, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for i in images]


def silent(pictures: Pictures) -> Pictures:
    """As many pictures of somebody who says nothing: the end of a clip, to and fro."""
    end = pictures[-STILL:]
    there_and_back = [*end, *end[-2:0:-1]]
    return [there_and_back[n % len(there_and_back)] for n in range(len(pictures))]


def write_pair(
    path: Path, left: Pictures, right: Pictures, voice: Path | None, lost: int = 0
) -> Path:
    """Writes two people side by side with the sound of a clip, without its first `lost` samples."""
    sound = None if voice is None else load_mono(voice, rate=RATE, max_seconds=60)[None, lost:]
    return write_media(
        path,
        stamps=range(len(left)),
        rate=Fraction(25),
        picture=lambda number: np.hstack([left[number], right[number]]),
        sound=sound,
        layout="mono",
        sound_rate=RATE,
        sound_start=lost,
    )
