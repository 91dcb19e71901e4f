"""Whose mouth moves with the voice, where several faces are tracked.

A face is turned upright and scaled to one size by its landmarks, frame by frame. The motion of its
mouth is the mean absolute difference of two successive mouths, after the second face was shifted
so that its eyes and nose fit those of the first best: what the head does is no speech. A face's
agreement with the voice is the best correlation of that motion with the log energy of the sound,
over lags by which the sound may follow the mouth, times the root of the share of 3 s that the face
was looked at: a correlation of few syllables says little. The face with the best agreement speaks
if this is at least `LEAST` and ahead of every other by `MARGIN`; else it is undecided.

Rule and thresholds were chosen on four talking clips of 3 s (read sentences, faces to the camera),
on which these numbers were measured too: every ordered pair side by side with the sound of the
first, encoded, detected and decided, whole and in windows that begin at 0.3 and 0.6 s (of 2 s),
0.4 and 0.8 s (of 1.5 s). Right / wrong / undecided, faces about 110 and 40 pixels wide:

| the other face | 3 s | 3 s, small | 2 s | 2 s, small | 1.5 s | 1.5 s, small |
|---|---|---|---|---|---|---|
| is silent | 12/0/0 | 12/0/0 | 10/0/14 | 10/0/14 | 3/0/21 | 2/0/22 |
| is silent, both heads shake | 9/0/3 | 12/0/0 | 8/0/16 | 7/2/15 | 1/0/23 | 2/1/21 |
| speaks at another time | 12/0/0 | 11/0/1 | 13/0/11 | 7/0/17 | 3/0/21 | 4/0/20 |
| speaks at the same time, unheard | 0/0/12 | 1/0/11 | 2/0/22 | 1/2/21 | 1/3/20 | 3/1/20 |
| speaks too, and neither is heard | 0/0/12 | 0/0/12 | 0/3/21 | 0/0/24 | 0/3/21 | 0/1/23 |

Of two that speak at the same time energy cannot tell which is heard, so that this is undecided.
Without the shift none of 12 was decided once heads shook; to subtract the motion of the eyes
instead helped little. Longer clips and heads that turn away were not measured.
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
# Motion and energy are means over so many frames, the lags in seconds.
SMOOTH = 3
LAGS = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2)
# Seconds of sound that an energy is taken from, and decibels below the loudest that are heard.
WINDOW, HEARD = 0.08, 35.0
SILENCE = 1e-10
# Decibels; a voice whose energy deviates less tells of nobody.
EVEN = 1.0
LEAST, MARGIN = 0.4, 0.3
LEAST_SECONDS, FULL_SECONDS = 1.0, 3.0


@dataclass(frozen=True)
class Landmarks:
    """A face's landmarks over time.

    Attributes:
        times: [detection] seconds, rising.
        points: [detection, 5, 2] as shares of the picture's width and height.
        first: From when on the face is looked at, in seconds.
        last: Until when.
    """

    times: NDArray[np.float64]
    points: NDArray[np.float64]
    first: float
    last: float

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
    """The motion of each face's mouth; of the pictures only the last faces are kept.

    Args:
        pictures: Time in seconds and uint8 grey [height, width], in order of time.
        faces: Where the faces are.
    """
    found = [Motion() for _ in faces]
    faces = [face.steady() for face in faces]
    before: list[tuple[float, NDArray[np.float32]] | None] = [None] * len(faces)
    for time, picture in pictures:
        for number, face in enumerate(faces):
            if not face.first <= time <= face.last:
                continue
            upright = _upright(picture, face.at(time))
            last, before[number] = before[number], (time, upright)
            if last is not None:
                found[number].times.append((last[0] + time) / 2)
                found[number].values.append(_motion(last[1], upright))
    return found


def _upright(picture: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.float32]:
    height, width = picture.shape
    placed = points * (width, height)
    face: NDArray[np.uint8] = cv2.warpAffine(
        picture, _similarity(placed), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
    )
    upright: NDArray[np.float32] = face.astype(np.float32)
    return upright


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
    """By how much eyes and nose went to the right and down, to parts of a pixel."""
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


def loudness(
    samples: NDArray[np.float32], rate: int, times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log energy of the sound round each time.

    Args:
        samples: [sample].
        rate: Hertz.
        times: [time] in seconds from the first sample.

    Returns:
        [time] decibels, none further below the loudest than `HEARD`.
    """
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    first, last = (
        np.clip(np.round((times + side) * rate).astype(int), 0, len(samples))
        for side in (-WINDOW / 2, WINDOW / 2)
    )
    energy = (power[last] - power[first]) / np.maximum(last - first, 1)
    decibels = 10 * np.log10(np.maximum(energy, SILENCE))
    heard: NDArray[np.float64] = np.maximum(decibels, decibels.max(initial=-np.inf) - HEARD)
    return heard


def agreement(motion: Motion, samples: NDArray[np.float32], rate: int) -> float:
    """How well a mouth's motion and the energy of the voice agree.

    Args:
        motion: Its times count from the first sample.
        samples: The voice, [sample].
        rate: Hertz.

    Returns:
        -1 to 1; 0 for less than a second of face and voice, a still face and an even voice.
    """
    if not motion.times:
        return 0.0
    times, values = np.array(motion.times), np.array(motion.values)
    best = max(_at_lag(times, values, samples, rate, lag) for lag in LAGS)
    return best * min(1.0, float(np.sqrt((times[-1] - times[0]) / FULL_SECONDS)))


def _at_lag(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    samples: NDArray[np.float32],
    rate: int,
    lag: float,
) -> float:
    within = times + lag <= len(samples) / rate
    times, values = times[within], values[within]
    if not len(times) or times[-1] - times[0] < LEAST_SECONDS:
        return 0.0
    voice = _smooth(loudness(samples, rate, times + lag))
    return _correlation(_smooth(values), voice) if voice.std() > EVEN else 0.0


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    around = np.pad(values, SMOOTH // 2, mode="edge")
    smoothed: NDArray[np.float64] = np.convolve(around, np.full(SMOOTH, 1 / SMOOTH), "valid")
    return smoothed


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm > SILENCE else 0.0


def speaking(agreements: Sequence[float]) -> int | None:
    """Number of the face that speaks, None where that is undecided.

    Args:
        agreements: Of two faces at least.
    """
    second, first = sorted(agreements)[-2:]
    decided = first >= LEAST and first - second >= MARGIN
    return list(agreements).index(first) if decided else None
