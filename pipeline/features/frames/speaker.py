"""The speaker among several tracked faces: the one whose mouth moves with the voice.

Two things speak for a face. Its *agreement* with the voice is the best correlation of its mouth's
motion with the log energy of the sound, over lags by which the sound may follow the mouth, times
the root of the share of 3 s that the face was looked at: a correlation of few syllables says
little. Its *liveliness* is the log of its mouth's mean motion while the voice is heard, which
needs no 3 s. The face with the largest sum, liveliness weighted by `LIVELY`, speaks if it agrees
by `LEAST` at least and is ahead of every other by `MARGIN`; else it is undecided.

Rule and thresholds were chosen on four talking clips; docs/encoders.md has what was measured. Of
two that speak at the same time energy cannot tell which is heard, and where the voice is that of
somebody unseen, a face that moves more may be taken.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log
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
LEAST, MARGIN, LIVELY = 0.15, 0.5, 0.4
# Decibels below the loudest from which on motion counts, by how much; the lag that is usual; and
# the motion that noise gives a still mouth, in levels of grey.
CLEARLY, USUAL_LAG, STILL = 25.0, 0.08, 0.25
LEAST_SECONDS, FULL_SECONDS = 1.0, 3.0


def loudness(
    samples: NDArray[np.float32], rate: int, times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Decibels of a sound at [time] seconds from its start, at least the loudest less `HEARD`."""
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
    """
    if not motion.times:
        return 0.0
    all_times, all_values = np.array(motion.times), np.array(motion.values)

    def at(lag: float) -> float:
        within = all_times + lag <= len(samples) / rate
        times, values = all_times[within], all_values[within]
        if not len(times) or times[-1] - times[0] < LEAST_SECONDS:
            return 0.0
        voice = _smooth(loudness(samples, rate, times + lag))
        return _correlation(_smooth(values), voice) if voice.std() > EVEN else 0.0

    share = (all_times[-1] - all_times[0]) / FULL_SECONDS
    return max(map(at, LAGS)) * min(1.0, float(np.sqrt(share)))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    around = np.pad(values, SMOOTH // 2, mode="edge")
    smoothed: NDArray[np.float64] = np.convolve(around, np.full(SMOOTH, 1 / SMOOTH), "valid")
    return smoothed


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm > SILENCE else 0.0


def liveliness(motion: Motion, samples: NDArray[np.float32], rate: int) -> float:
    """The log of a mouth's mean motion in levels of grey, weighted by how loud the voice is."""
    everywhere = np.arange(0, len(samples) / rate, WINDOW)
    times = np.concatenate([np.array(motion.times) + USUAL_LAG, everywhere])
    heard = loudness(samples, rate, times)
    weights = np.maximum(heard - heard.max(initial=-np.inf) + CLEARLY, 0)[: len(motion.times)]
    if not weights.sum():
        return log(STILL)
    return log(max(STILL, float(np.average(motion.values, weights=weights))))


def speaking(agreements: Sequence[float], livelinesses: Sequence[float]) -> int | None:
    """Number of the face that speaks, of two at least; None where that is undecided."""
    pairs = zip(agreements, livelinesses, strict=True)
    scores = [agrees + LIVELY * lively for agrees, lively in pairs]
    second, first = sorted(scores)[-2:]
    face = scores.index(first)
    return face if agreements[face] >= LEAST and first - second >= MARGIN else None


LONGEST_SIDE = 640


def speaking_track(
    tracks: Sequence[Track], frames: Sequence[Frame], utterance: Utterance, root: Path
) -> Track | None:
    """Find the track, of two at least, whose mouth moves with the voice, in a second decoding.

    None where no face agrees with the voice clearly more than the others do, where there is no
    voice, and where one of the files cannot be read.
    """
    try:
        # Both are there: see `pictures_key`.
        samples = sound_of(root, utterance.audio)  # type: ignore[arg-type]
        motions = _motions(tracks, frames, utterance.video, root)  # type: ignore[arg-type]
    except MediaError:
        return None
    chosen = speaking(
        [agreement(motion, samples, RATE) for motion in motions],
        [liveliness(motion, samples, RATE) for motion in motions],
    )
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
