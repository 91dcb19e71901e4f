"""The motion of mouths over a stream of small grey pictures.

A face is turned upright and scaled to one size by its landmarks, frame by frame. The motion of its
mouth is the mean absolute difference of two successive mouths, after the second face was shifted
so that its eyes and nose fit those of the first best: what the head does is no speech.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

# An upright face of 64 x 64 pixels: where its landmarks lie, and the parts that are looked at.
SIDE = 64
PLACES = np.array([[20, 20], [44, 20], [32, 34], [23, 48], [41, 48]], float)
MOUTH = (slice(38, 62), slice(14, 50))
EYES_AND_NOSE = (slice(8, 36), slice(10, 54))
# How far a head is searched for from one frame to the next, in pixels of that face.
REACH = 6
# The detector's landmarks tremble: each is the mean of so many detections.
STEADY = 5


@dataclass(frozen=True)
class Landmarks:
    """A face's landmarks over time, and when it is looked at; times are in seconds."""

    times: NDArray[np.float64]  # [detection], rising
    points: NDArray[np.float64]  # [detection, 5, 2] as shares of the picture's width and height
    first: float
    last: float
    gaps: Sequence[tuple[float, float]] = ()  # in between, while another shot is shown

    def looked_at(self, time: float) -> bool:
        """Whether the face is looked at."""
        within = self.first <= time <= self.last
        return within and not any(begin < time < end for begin, end in self.gaps)

    def steady(self) -> "Landmarks":
        """Without the detector's tremble: means over `STEADY` detections, fewer at the ends.

        They reach as far back as ahead, so that a steady movement stays as it is.
        """
        count = len(self.points)
        reach = [min(STEADY // 2, n, count - 1 - n) for n in range(count)]
        calm = [self.points[n - r : n + r + 1].mean(0) for n, r in enumerate(reach)]
        return replace(self, points=np.stack(calm))

    def at(self, time: float) -> NDArray[np.float64]:
        """[5, 2], linear in time between detections, the nearest one outside them."""
        flat = self.points.reshape(len(self.points), -1).T
        return np.array([np.interp(time, self.times, row) for row in flat]).reshape(-1, 2)


@dataclass
class Motion:
    """A mouth's motion: between which frames (the mean of their times, seconds), and how much."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def mouth_motions(
    pictures: Iterable[tuple[float, NDArray[np.uint8]]], faces: Sequence[Landmarks]
) -> list[Motion]:
    """Measure the motion of each face's mouth.

    Pictures, of which one is held, are times in seconds, rising, and uint8 grey [height, width].
    """
    motions = [Motion() for _ in faces]
    faces = [face.steady() for face in faces]
    before: list[tuple[float, NDArray[np.float32]] | None] = [None] * len(faces)
    for time, picture in pictures:
        for number, face in enumerate(faces):
            if not face.looked_at(time):
                before[number] = None
                continue
            upright = _upright(picture, face.at(time))
            last, before[number] = before[number], (time, upright)
            if last is not None:
                motions[number].times.append((last[0] + time) / 2)
                motions[number].values.append(_motion(last[1], upright))
    return motions


def _upright(picture: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.float32]:
    way = _similarity(points * picture.shape[::-1])
    face = cv2.warpAffine(picture, way, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(face, np.float32)


def _similarity(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """[2, 3]: the turn, scale and shift that bring points nearest to `PLACES` (least squares)."""
    middle, goal = points.mean(0), PLACES.mean(0)
    source, target = points - middle, PLACES - goal
    spread = max(float((source**2).sum()), 1e-9)
    along = (source * target).sum() / spread
    across = (source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum() / spread
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, goal - turn @ middle])


def _motion(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    x, y = _head_shift(before, after)
    back = np.array([[1, 0, -x], [0, 1, -y]])
    shifted = cv2.warpAffine(after, back, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return float(np.abs(shifted - before)[MOUTH].mean())


def _head_shift(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[float, float]:
    """How far eyes and nose went to the right and down, to parts of a pixel."""
    rows, columns = EYES_AND_NOSE
    searched = after[
        rows.start - REACH : rows.stop + REACH, columns.start - REACH : columns.stop + REACH
    ]
    fit = cv2.matchTemplate(searched, before[EYES_AND_NOSE], cv2.TM_SQDIFF)
    y, x = np.unravel_index(np.argmin(fit), fit.shape)
    return x - REACH + _vertex(fit[y], int(x)), y - REACH + _vertex(fit[:, x], int(y))


def _vertex(values: NDArray[np.float32], place: int) -> float:
    """Where beside its least value a curve has its least point, by the parabola through three."""
    if not 0 < place < len(values) - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[place - 1 : place + 2])
    bend = left - 2 * middle + right
    return (left - right) / (2 * bend) if bend > 0 else 0.0
