"""Shots: where a film cuts from one picture to another, and which pictures are of one camera.

A cut is a change of brightness, at a few hundred points, that is large beside the contrast of the
pictures and beside the changes just before and after it, so that neither a fast movement nor a
film of few frames a second is one (compare PySceneDetect's adaptive detector). A picture like the
last one of an earlier shot goes on with that shot: after a flash of light, or a reaction shot.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pipeline.media.upright import Decoded, Pixels

ROWS, COLUMNS = 18, 32
# Of the contrast. Successive pictures of four real talking heads change by 0.06 at most, any two
# of one by 0.22, and those of two people before one background by 0.51 at least.
LEAST = 0.3
# How often the largest change of so many frames before and after.
AHEAD, AROUND = 2.5, 3
# Mean deviation of the brightness of pictures below which there is nothing to see.
LEAST_CONTRAST = 4.0
# The formats of nearly all video, whose first plane is the brightness of each pixel in a byte.
BYTES_OF_BRIGHTNESS = {"gray", "nv12"} | {f"yuv{j}{n}p" for j in ("", "j") for n in (420, 422, 444)}

# Shapes of pictures that differ by no more are the same, of some scaled.
ALIKE = 0.02


class Shots:
    """The shots of a film, whose frames are seen one after another."""

    def __init__(self) -> None:
        self._numbers: dict[float, int] = {}
        self._points: list[Pixels] = []
        self._shapes: list[float] = []
        self._changes: NDArray[np.float64] = np.zeros(0)

    def see(self, time: float, shown: Decoded) -> None:
        """Look at the next frame, shown at a time in seconds."""
        self._numbers.setdefault(time, len(self._points))
        self._points.append(_points(shown))
        self._shapes.append(shown.shape)

    def of(self, times: Sequence[float]) -> list[int]:
        """Number of the shot, from 0 on, at each of some times of frames that were seen."""
        self._measure()
        numbers = [self._numbers[time] for time in times]
        frames = range(min(numbers), max(numbers) + 1)
        starts = [n for n in frames if n > frames.start and self._is_cut(n, frames)]
        shots, ends = [0], {0: frames.start}
        for start in starts:
            ends[shots[-1]] = start - 1
            changes = self._change(list(ends.values()), [start] * len(ends))
            nearest = int(np.argmin(changes))
            shots.append(nearest if changes[nearest] < LEAST else len(ends))
            ends[shots[-1]] = start
        cuts = list(accumulate(int(n in starts) for n in frames))
        return [shots[cuts[n - frames.start]] for n in numbers]

    def _measure(self) -> None:
        """Compare each frame that is new with the one before it."""
        new = list(range(len(self._changes), len(self._points)))
        if not new:
            return
        changes = self._change([max(0, n - 1) for n in new], new)
        self._changes = np.concatenate([self._changes, changes])

    def _change(self, before: Sequence[int], after: Sequence[int]) -> NDArray[np.float64]:
        """How much the brightness of pairs of pictures differs, as a share of their contrast.

        Those of different shapes, width by height, are as different as can be.
        """
        one, other = (
            np.array([self._points[n] for n in side], np.float64).reshape(-1, ROWS * COLUMNS)
            for side in (before, after)
        )
        contrast = np.maximum(*(np.abs(p - p.mean(1, keepdims=True)).mean(1) for p in (one, other)))
        changes = np.abs(one - other).mean(1) / np.maximum(contrast, LEAST_CONTRAST)
        shapes = np.array(self._shapes)
        alike = np.isclose(shapes[before], shapes[after], rtol=ALIKE)
        return np.where(alike, changes, np.inf)

    def _is_cut(self, number: int, frames: range) -> bool:
        """Whether a frame begins a shot, by the changes within some frames alone.

        What was seen before and after them depends on which other segments are asked for.
        """
        if self._changes[number] < LEAST:
            return False
        first, stop = max(frames.start + 1, number - AROUND), min(frames.stop, number + AROUND + 1)
        others = np.delete(self._changes[first:stop], number - first)
        largest = max(others[np.isfinite(others)], default=0.0)
        return bool(self._changes[number] >= AHEAD * largest)


def _points(shown: Decoded) -> Pixels:
    """The brightness at evenly spaced points, [row, column]."""
    frame = shown.frame
    plane = frame.planes[0]
    if frame.format.name not in BYTES_OF_BRIGHTNESS or plane.line_size <= 0:
        return shown.pixels(COLUMNS, ROWS, "gray")
    picture = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    rows, columns = _spaced(frame.height, ROWS), _spaced(frame.width, COLUMNS)
    return picture.take(rows, 0).take(columns, 1)


@lru_cache(maxsize=8)
def _spaced(length: int, count: int) -> NDArray[np.intp]:
    return ((np.arange(count) + 0.5) * length / count).astype(np.intp)
