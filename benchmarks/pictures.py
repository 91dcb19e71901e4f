"""Pictures like those of footage, stored as the pipeline stores them."""

from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.features.common.images import encode_image
from pipeline.features.visual.network import SIDE
from pipeline.features.visual.plan import Row
from pipeline.records.frames import Pictures

# Noise of several grains, drawn on squares of so many pixels, with so many grey levels.
GRAINS = ((4, 40.0), (14, 20.0), (56, 10.0), (112, 4.0))
QUALITY = 95
KINDS = 64
"""So many pictures are drawn; others differ in a byte after their end, which no decoder reads."""


def photograph(rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [224, 224, 3]; 17 kB as a JPEG of quality 95, as crops of real footage are."""
    picture = np.full((SIDE, SIDE, 3), 128.0, np.float32)
    for side, deviation in GRAINS:
        noise = rng.normal(0, deviation, (side, side, 3)).astype(np.float32)
        picture += cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def jpegs(count: int) -> list[bytes]:
    """JPEGs of pictures, no two of the same bytes."""
    rng = np.random.default_rng(0)
    drawn = [encode_image(photograph(rng), "jpeg", QUALITY) for _ in range(min(count, KINDS))]
    return [drawn[n % KINDS] + n.to_bytes(4, "little") for n in range(count)]


def frame_rows(images: list[bytes], per_utterance: int) -> Iterator[Row]:
    """Rows of a frame store: utterances of so many pictures."""
    for first in range(0, len(images), per_utterance):
        mine = images[first : first + per_utterance]
        times = [float(n) for n in range(len(mine))]
        boxes = [[0.0, 0.0, float(SIDE), float(SIDE)]] * len(mine)
        yield f"u{first}", Pictures(times, boxes, "one", mine)
