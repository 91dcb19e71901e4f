"""Faces and their landmarks, found by YuNet."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.errors import PipelineError

Box = tuple[float, float, float, float]
Point = tuple[float, float]
# YuNet costs 4.5 ms at 320 x 192 and 60 ms at 1280 x 720, and a speaker's face is large enough.
LONGEST_SIDE = 320
OVERLAP = 0.3
# OpenCV wants a picture's size when the detector is made; each picture gives its own later.
ANY = (320, 320)
BOX, LANDMARKS, SCORE = slice(0, 4), slice(4, 14), 14


@dataclass(frozen=True)
class Face:
    """A face as the detector found it, in pixels of the picture.

    Attributes:
        box: Left, top, width and height.
        landmarks: Left and top of five points, in the order of the picture's left to right: the
            two eyes, the tip of the nose, the two corners of the mouth.
        score: The detector's.
    """

    box: Box
    landmarks: tuple[Point, ...]
    score: float


class FaceDetector:
    """YuNet through OpenCV; each process makes OpenCV's object, which does not pickle, anew.

    Args:
        weights: The ONNX file.
        score_threshold: Least score of a face.
        longest_side: Larger pictures are scaled down to this, in pixels.

    Raises:
        PipelineError: The file is no network that OpenCV can read.
    """

    def __init__(
        self, weights: Path, score_threshold: float, longest_side: int = LONGEST_SIDE
    ) -> None:
        self.weights, self.score_threshold = weights, score_threshold
        self.longest_side = longest_side
        self._made: cv2.FaceDetectorYN | None = None
        try:
            self._detector()
        except cv2.error as error:
            raise PipelineError(
                f"{weights} is no face detector OpenCV can read: {error}"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """All but OpenCV's object."""
        return {**vars(self), "_made": None}

    def _detector(self) -> cv2.FaceDetectorYN:
        if self._made is None:
            # Parallelism lies between clips.
            cv2.setNumThreads(1)
            with _quiet():
                self._made = cv2.FaceDetectorYN.create(
                    str(self.weights), "", ANY, self.score_threshold, OVERLAP
                )
        return self._made

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a picture, the best score first.

        Args:
            image: uint8 RGB [height, width, 3].
        """
        height, width = image.shape[:2]
        scale = min(1.0, self.longest_side / max(height, width))
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        if scale < 1:
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        detector = self._detector()
        detector.setInputSize(small)
        _, rows = detector.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        to_image = np.array([width / small[0], height / small[1]])
        return [_face(row, to_image) for row in (rows if rows is not None else [])]


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV 5 warns at each creation of a target that nobody has chosen."""
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _face(row: np.ndarray, to_image: np.ndarray) -> Face:
    left, top, width, height = (float(v) for v in row[BOX] * np.tile(to_image, 2))
    points = row[LANDMARKS].reshape(-1, 2) * to_image
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return Face((left, top, width, height), landmarks, float(row[SCORE]))
