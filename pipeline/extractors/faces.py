"""Faces: found by YuNet, chosen, and cut out."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.errors import PipelineError

Box = tuple[float, float, float, float]
SIDE = 224
# YuNet costs 4.5 ms at 320 x 192 and 60 ms at 1280 x 720, and a speaker's face is large enough.
LONGEST_SIDE = 320
OVERLAP = 0.3
_creating = threading.Lock()


@dataclass(frozen=True)
class Face:
    """A face: left, top, width and height in pixels of the picture, and the detector's score."""

    box: Box
    score: float


class FaceDetector:
    """YuNet through OpenCV. OpenCV's object keeps state, so each thread gets one of its own.

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
        self._local = threading.local()
        try:
            self._detector()
        except cv2.error as error:
            raise PipelineError(
                f"{weights} is no face detector OpenCV can read: {error}"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _local=threading.local())

    def _detector(self) -> cv2.FaceDetectorYN:
        if not hasattr(self._local, "detector"):
            # Parallelism lies between clips.
            cv2.setNumThreads(1)
            with _creating, _quiet():
                self._local.detector = cv2.FaceDetectorYN.create(
                    str(self.weights), "", (SIDE, SIDE), self.score_threshold, OVERLAP
                )
        detector: cv2.FaceDetectorYN = self._local.detector
        return detector

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a picture, the best score first.

        Args:
            image: uint8 RGB [height, width, 3].
        """
        height, width = image.shape[:2]
        scale = min(1.0, self.longest_side / max(height, width))
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if scale < 1:
            bgr = cv2.resize(bgr, small, interpolation=cv2.INTER_AREA)
        detector = self._detector()
        detector.setInputSize(small)
        _, rows = detector.detect(bgr)
        to_image = np.array([width / small[0], height / small[1]] * 2)
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
    left, top, width, height = (float(v) for v in row[:4] * to_image)
    return Face((left, top, width, height), float(row[-1]))


def choose_boxes(faces: Sequence[Sequence[Face]]) -> list[Box | None]:
    """One box per frame: its largest face, or that of the nearest frame that has one.

    Args:
        faces: Those of each frame, in order of time.

    Returns:
        A box per frame; None in every frame if no frame has a face.
    """
    largest = [max(found, key=_area).box if found else None for found in faces]
    with_face = [number for number, box in enumerate(largest) if box is not None]
    if not with_face:
        return largest
    nearest = (min(with_face, key=lambda n: (abs(n - number), n)) for number in range(len(faces)))
    return [largest[number] for number in nearest]


def _area(face: Face) -> float:
    return face.box[2] * face.box[3]


def crop(
    image: np.ndarray, box: Box | None, margin: float, side: int = SIDE
) -> tuple[np.ndarray, Box]:
    """Cuts a square out of a picture and scales it.

    Args:
        image: uint8 RGB [height, width, 3].
        box: A face; None takes the largest square in the middle.
        margin: Added to the longer side of the box, as a share of it.
        side: Width and height of the result, in pixels.

    Returns:
        uint8 RGB [side, side, 3], and the square that was cut out, in pixels of the picture. It
        is moved inside the picture where it fits; where it is larger, edge pixels are repeated.
    """
    left, top, length = _square(image.shape[:2], box, margin)
    height, width = image.shape[:2]
    rows = np.clip(np.arange(top, top + length), 0, height - 1)
    columns = np.clip(np.arange(left, left + length), 0, width - 1)
    cut = image[rows[:, None], columns]
    shrink = cv2.INTER_AREA if length > side else cv2.INTER_CUBIC
    scaled = cv2.resize(cut, (side, side), interpolation=shrink)
    return scaled, (float(left), float(top), float(length), float(length))


def _square(shape: tuple[int, ...], box: Box | None, margin: float) -> tuple[int, int, int]:
    height, width = shape[:2]
    if box is None:
        length = min(height, width)
        return (width - length) // 2, (height - length) // 2, length
    length = max(1, round(max(box[2], box[3]) * (1 + margin)))
    left = round(box[0] + box[2] / 2 - length / 2)
    top = round(box[1] + box[3] / 2 - length / 2)
    return _moved_inside(left, length, width), _moved_inside(top, length, height), length


def _moved_inside(start: int, length: int, limit: int) -> int:
    if length >= limit:
        return (limit - length) // 2
    return min(max(start, 0), limit - length)
