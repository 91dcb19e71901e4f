"""The speaker among several tracked faces: the one whose mouth moves with the voice.

A face's agreement with the voice is the best correlation of its mouth's motion with the log energy
of the sound, over lags by which the sound may follow the mouth, times the root of the share of 3 s
that the face was looked at: a correlation of few syllables says little. The face with the best
agreement speaks if this is at least `LEAST` and ahead of every other by `MARGIN`; else it is
undecided.

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
Without the shift of the head (see mouths) none of 12 was decided once heads shook; to subtract the
motion of the eyes instead helped little. Longer clips and heads that turn away were not measured.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import MediaError
from pipeline.features.common.sound import RATE, sound_of
from pipeline.features.frames.mouths import Landmarks, Motion, mouth_motions
from pipeline.features.frames.tracks import Track
from pipeline.media.grey import grey_frames
from pipeline.media.video import Frame
from pipeline.records.manifest import Segment, Utterance

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


def loudness(
    samples: NDArray[np.float32], rate: int, times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log energy of a sound round each time.

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
    """Measure how well a mouth's motion and the energy of the voice agree, from -1 to 1.

    It is 0 for less than a second of face and voice, a still face and an even voice.

    Args:
        motion: Its times count from the first sample.
        samples: The voice, [sample].
        rate: Hertz.
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
    """Number of the face that speaks, of two at least; None where that is undecided."""
    second, first = sorted(agreements)[-2:]
    decided = first >= LEAST and first - second >= MARGIN
    return list(agreements).index(first) if decided else None


LONGEST_SIDE = 640


def speaking_track(
    tracks: Sequence[Track], frames: Sequence[Frame], utterance: Utterance, root: Path
) -> Track | None:
    """Find the track whose mouth moves with the voice; the clip is decoded once more for that.

    Args:
        tracks: At least two.
        frames: Those the tracks were found in.
        utterance: Whose video and audio are looked at.
        root: The raw folder that paths are relative to.

    Returns:
        None where it is undecided: no face agrees with the voice clearly more than the others do,
        or there is no voice, or one of the files cannot be read.
    """
    try:
        samples = sound_of(root, utterance.audio)
        motions = _motions(tracks, frames, utterance.video, root)
    except MediaError:
        return None
    chosen = speaking([agreement(motion, samples, RATE) for motion in motions])
    return None if chosen is None else tracks[chosen]


def _motions(
    tracks: Sequence[Track], frames: Sequence[Frame], segment: Segment, root: Path
) -> list[Motion]:
    """With times from the segment's start, where its sound begins too."""
    assert segment.end is not None
    pictures = grey_frames(
        root / segment.path, segment.start, segment.end, segment.region, LONGEST_SIDE
    )
    since = ((time - segment.start, picture) for time, picture in pictures)
    return mouth_motions(since, [_landmarks(track, frames, segment.start) for track in tracks])


def _landmarks(track: Track, frames: Sequence[Frame], start: float) -> Landmarks:
    height, width = frames[0].image.shape[:2]
    points = np.array([face.landmarks for face in track.faces]) / (width, height)
    times = np.array([frame.time - start for frame in frames])
    first, last = track.frames[0], track.frames[-1]
    # A frame stands for the time to halfway to its neighbours of the same shot.
    half = (times[-1] - times[0]) / max(1, len(times) - 1) / 2
    others = {n for n, frame in enumerate(frames) if frame.shot != track.shot}
    shot = [n for n in range(first, last + 1) if n not in others]
    return Landmarks(
        times[list(track.frames)],
        points,
        first=times[first] - half * (first - 1 not in others),
        last=times[last] + half * (last + 1 not in others),
        gaps=tuple((times[n], times[m]) for n, m in pairwise(shot) if m > n + 1),
    )
