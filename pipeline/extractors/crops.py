"""Squares for the network: a face cut out of a picture, or the whole picture."""

import cv2
import numpy as np

from pipeline.extractors.faces import Box

SIDE = 224


def face_crop(
    image: np.ndarray, box: Box, margin: float, side: int = SIDE
) -> tuple[np.ndarray, Box]:
    """Cuts a square round a face and scales it.

    Args:
        image: uint8 RGB [height, width, 3].
        box: The face.
        margin: Added to the longer side of the box, as a share of it.
        side: Width and height of the result, in pixels.

    Returns:
        uint8 RGB [side, side, 3], and the square that was cut out, in pixels of the picture. It
        is moved inside the picture where it fits; where it is larger, edge pixels are repeated.
    """
    height, width = image.shape[:2]
    left, top, length = _square(height, width, box, margin)
    scaled = _scaled(_cut(image, left, top, length), side, side)
    return scaled, (float(left), float(top), float(length), float(length))


def _cut(image: np.ndarray, left: int, top: int, length: int) -> np.ndarray:
    """A square of a picture, edge pixels repeated where it is larger than the picture."""
    height, width = image.shape[:2]
    inside = image[max(0, top) : top + length, max(0, left) : left + length]
    if inside.shape[:2] == (length, length):
        return inside
    above, before = max(0, -top), max(0, -left)
    below, behind = max(0, top + length - height), max(0, left + length - width)
    borders = (above, below, before, behind)
    padded: np.ndarray = cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE)
    return padded


def whole(image: np.ndarray, side: int = SIDE) -> tuple[np.ndarray, Box]:
    """Scales a whole picture into a square, its shape kept, with black on both sides of it.

    Args:
        image: uint8 RGB [height, width, 3].
        side: Width and height of the result, in pixels.

    Returns:
        uint8 RGB [side, side, 3], and the box of the whole picture, in its pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (side - tall) // 2, (side - wide) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + tall, left : left + wide] = _scaled(image, tall, wide)
    return square, (0.0, 0.0, float(width), float(height))


def _scaled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    shrunk = max(image.shape[:2]) > max(height, width)
    way = cv2.INTER_AREA if shrunk else cv2.INTER_CUBIC
    scaled: np.ndarray = cv2.resize(image, (width, height), interpolation=way)
    return scaled


def _square(height: int, width: int, box: Box, margin: float) -> tuple[int, int, int]:
    length = max(1, round(max(box[2], box[3]) * (1 + margin)))
    left = round(box[0] + box[2] / 2 - length / 2)
    top = round(box[1] + box[3] / 2 - length / 2)
    return _moved_inside(left, length, width), _moved_inside(top, length, height), length


def _moved_inside(start: int, length: int, limit: int) -> int:
    if length >= limit:
        return (limit - length) // 2
    return min(max(start, 0), limit - length)
