"""Shots: where a film cuts from one picture to another, and which pictures are of one camera.

A cut is a change of brightness, at a few hundred points, that is large beside the contrast of the
pictures and beside the changes just before and after it, so that neither a fast movement nor a
film of few frames a second is one (compare PySceneDetect's adaptive detector). A picture like the
last one of an earlier shot goes on with that shot: after a flash of light, or a reaction shot.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from math import inf, isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.media.upright import Decoded

ROWS, COLUMNS = 24, 32
# Of the contrast. Successive pictures of four real talking heads change by 0.06 at most, any two
# of one by 0.22, and those of two people before one background by 0.51 at least.
LEAST = 0.3
# How often the largest change of so many frames before and after.
AHEAD, AROUND = 2.5, 3
# Mean deviation of the brightness of pictures below which there is nothing to see.
LEAST_CONTRAST = 4.0
# The formats of nearly all video, whose first plane is the brightness of each pixel in a byte.
BYTES_OF_BRIGHTNESS = {"gray", "nv12"} | {f"yuv{j}{n}p" for j in ("", "j") for n in (420, 422, 444)}

Points = NDArray[np.uint8]


class Shots:
    """The shots of a film, whose frames are seen one after another."""

    def __init__(self) -> None:
        self._numbers: dict[float, int] = {}
        self._seen: list[tuple[Points, float]] = []
        self._changes: list[float] = []

    def see(self, time: float, shown: Decoded) -> None:
        """Look at the next frame, shown at a time in seconds."""
        self._numbers.setdefault(time, len(self._seen))
        self._seen.append((_points(shown.frame), shown.shape))
        self._changes.append(_change(self._seen[-2], self._seen[-1]) if self._changes else 0.0)

    def of(self, times: Sequence[float]) -> list[int]:
        """Number of the shot, from 0 on, at each of some times of frames that were seen."""
        numbers = [self._numbers[time] for time in times]
        frames = range(min(numbers), max(numbers) + 1)
        starts = [n for n in frames if n > frames.start and self._is_cut(n)]
        shots, ends = [0], {0: frames.start}
        for start in starts:
            ends[shots[-1]] = start - 1
            nearest = min(ends, key=lambda shot: _change(self._seen[ends[shot]], self._seen[start]))
            known = _change(self._seen[ends[nearest]], self._seen[start]) < LEAST
            shots.append(nearest if known else len(ends))
            ends[shots[-1]] = start
        cuts = list(accumulate(int(n in starts) for n in frames))
        return [shots[cuts[n - frames.start]] for n in numbers]

    def _is_cut(self, number: int) -> bool:
        first = max(0, number - AROUND)
        around = enumerate(self._changes[first : number + AROUND + 1], first)
        others = [change for n, change in around if n != number and change < inf]
        return self._changes[number] >= max(LEAST, AHEAD * max(others, default=0.0))


def _change(one: tuple[Points, float], other: tuple[Points, float]) -> float:
    """How much the brightness of two pictures differs, as a share of their contrast.

    Those of different shapes, width by height, are as different as can be.
    """
    if not isclose(one[1], other[1], rel_tol=0.02):
        return inf
    before, after = one[0].astype(np.float32), other[0].astype(np.float32)
    contrast = max(float(np.abs(points - points.mean()).mean()) for points in (before, after))
    return float(np.abs(before - after).mean()) / max(LEAST_CONTRAST, contrast)


def _points(frame: Any) -> Points:
    """The brightness at evenly spaced points, [row, column]."""
    plane = frame.planes[0]
    if frame.format.name not in BYTES_OF_BRIGHTNESS or plane.line_size <= 0:
        small: Points = frame.reformat(COLUMNS, ROWS, format="gray").to_ndarray()
        return small
    points: Points = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[
        _places(frame.height, frame.width)
    ]
    return points


@lru_cache(maxsize=4)
def _places(height: int, width: int) -> tuple[NDArray[np.intp], ...]:
    rows = ((np.arange(ROWS) + 0.5) * height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    return np.ix_(rows, columns)
