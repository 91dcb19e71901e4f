"""The face detector YuNet, and crops of faces."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.records.frames import SIDE

Box = tuple[float, float, float, float]  # left, top, width, height
Point = tuple[float, float]
# YuNet costs 4.5 ms at 320 x 192 and 60 ms at 1280 x 720, and a speaker's face is large enough.
LONGEST_SIDE = 320
OVERLAP = 0.3
# OpenCV wants a picture's size when the detector is made; each picture gives its own later.
ANY = (320, 320)
BOX, LANDMARKS, SCORE = slice(0, 4), slice(4, 14), 14


@dataclass(frozen=True)
class Face:
    """A detected face, in pixels of the picture, and the detector's score from 0 to 1.

    Landmarks are left and top of five points, in the order of the picture's left to right: the
    two eyes, the tip of the nose, the two corners of the mouth.
    """

    box: Box
    landmarks: tuple[Point, ...]
    score: float

    def scaled(self, x: float, y: float) -> "Face":
        """In pixels of a picture that is so many times as wide and as high."""
        points = tuple((left * x, top * y) for left, top in self.landmarks)
        return Face(box_scaled(self.box, x, y), points, self.score)


def box_scaled(box: Box, x: float, y: float) -> Box:
    """A box in a picture that is so many times as wide and as high."""
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


@dataclass(frozen=True)
class FaceDetector:
    """YuNet, an ONNX file, through OpenCV; larger pictures are scaled down to `longest_side`."""

    weights: Path
    score_threshold: float
    longest_side: int = LONGEST_SIDE

    def detect(self, image: np.ndarray) -> list[Face]:
        """Find the faces of uint8 RGB [height, width, 3], best score first; refuse odd weights."""
        height, width = image.shape[:2]
        scale = min(1.0, self.longest_side / max(height, width))
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        if scale < 1:
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        yunet = _yunet(self.weights, self.score_threshold)
        yunet.setInputSize(small)
        _, rows = yunet.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        to_image = np.array([width / small[0], height / small[1]])
        return [_face(row, to_image) for row in (rows if rows is not None else [])]


# OpenCV's object does not pickle, so each process makes its own.
@lru_cache(maxsize=1)
def _yunet(weights: Path, score_threshold: float) -> cv2.FaceDetectorYN:
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of a default target
    try:
        return cv2.FaceDetectorYN.create(str(weights), "", ANY, score_threshold, OVERLAP)
    except cv2.error as error:
        raise PipelineError(
            f"{weights} is not a face detector that OpenCV can read: {error}"
        ) from error
    finally:
        logging.setLogLevel(level)


def _face(row: np.ndarray, to_image: np.ndarray) -> Face:
    left, top, width, height = (float(v) for v in row[BOX] * np.tile(to_image, 2))
    points = row[LANDMARKS].reshape(-1, 2) * to_image
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return Face((left, top, width, height), landmarks, float(row[SCORE]))


def face_crop(
    image: np.ndarray, box: Box, margin: float, side: int = SIDE
) -> tuple[np.ndarray, Box]:
    """Cut out a square round a face: uint8 RGB [side, side, 3], and the square in the picture.

    It is larger than the box's longer side by a margin, as a share of it, and moved inside the
    picture where it fits; else edge pixels are repeated.
    """
    height, width = image.shape[:2]
    length = max(1, round(max(box[2], box[3]) * (1 + margin)))
    left = _moved_inside(round(box[0] + box[2] / 2 - length / 2), length, width)
    top = _moved_inside(round(box[1] + box[3] / 2 - length / 2), length, height)
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
    """A whole picture in a square, uint8 RGB [side, side, 3], black beside it, and its box."""
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


def _moved_inside(start: int, length: int, limit: int) -> int:
    if length >= limit:
        return (limit - length) // 2
    return min(max(start, 0), limit - length)
