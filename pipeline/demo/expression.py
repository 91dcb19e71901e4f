"""How a head moves over an utterance: the course of each facial action for each emotion.

Two pairs of emotions share their actions and differ in the course alone: surprise bursts and
fades where fear swells, and so do disgust and anger. The courses of a pair are each other's
reverse in time, so only the order of the frames tells them apart, never their mean. Joy swings,
and some neutral faces hold a polite smile of joy's mean. Happiness and excitement, IEMOCAP's own,
swing alike and differ in how far eyes and mouth open; frustration is a held anger with the mouth
shut.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.demo.conversation import Cue

# Tint: pale below 0, flushed above.
ACTIONS = ("brow_raise", "brow_knit", "inner_brow", "lids", "smile", "open", "wrinkle", "tint")
POLITE_SMILE = 0.12  # probability on a neutral face


class Expression(NamedTuple):
    """Course over time (see `course`) and strength of each of `ACTIONS`."""

    course: str
    actions: tuple[float, ...]


EXPRESSIONS = {
    "neutral": Expression("still", (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
    "surprise": Expression("burst", (1.0, 0.0, 0.3, 1.0, 0.0, 1.0, 0.0, -0.8)),
    "fear": Expression("swell", (1.0, 0.0, 0.3, 1.0, 0.0, 1.0, 0.0, -0.8)),
    "sadness": Expression("hold", (0.0, 0.0, 1.0, -0.7, -1.0, 0.0, 0.0, -0.4)),
    "joy": Expression("swing", (0.4, 0.0, 0.0, -0.4, 1.5, 0.7, 0.0, 0.4)),
    "happiness": Expression("swing", (0.1, 0.0, 0.0, -0.5, 1.3, 0.2, 0.0, 0.4)),
    "excited": Expression("swing", (0.8, 0.0, 0.0, 0.5, 1.4, 1.0, 0.0, 0.5)),
    "frustration": Expression("hold", (-0.2, 0.8, 0.3, -0.5, -0.8, 0.0, 0.3, 0.4)),
    "disgust": Expression("burst", (-0.3, 1.0, 0.0, -0.5, -0.6, 0.3, 1.0, 1.0)),
    "anger": Expression("swell", (-0.3, 1.0, 0.0, -0.5, -0.6, 0.3, 1.0, 1.0)),
}


def course(kind: str, frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """Strength of an expression over time, (frames,), about 0–1.

    `kind` is `still`, `hold`, `swing` (at 1.5–2.5 Hz), `burst`, or `swell`, a burst reversed in
    time.
    """
    phase = (np.arange(frames) + 0.5) / frames
    if kind in ("burst", "swell"):
        onset, decay = rng.uniform(0.02, 0.2), rng.uniform(0.2, 0.4)
        burst = np.minimum(phase / onset, np.exp(-np.maximum(phase - onset - 0.15, 0) / decay))
        burst = np.minimum(burst, 1)
        return burst if kind == "burst" else burst[::-1]
    if kind == "swing":
        turns = rng.uniform(1.5, 2.5) * frames / fps
        return np.asarray(0.6 + 0.4 * np.sin(2 * np.pi * (turns * phase + rng.random())))
    if kind == "hold":
        return np.clip(phase / 0.3, 0, 1)
    return np.ones(frames)


@dataclass(frozen=True)
class Motion:
    """How a head moves, frame by frame."""

    actions: np.ndarray  # (frames, len(ACTIONS)), about -1 to 1, 0 at rest
    shut: np.ndarray  # (frames,), 0 to 1: how far blinks close the lids
    sway: np.ndarray  # (frames, 6), about unit variance: gaze (2), x, y, roll, distance
    loudness: np.ndarray  # (frames,), 0 to 1, of the voice, which opens the mouth


def speaking(cue: Cue, loudness: np.ndarray, fps: int, rng: np.random.Generator) -> Motion:
    """Motion of a head that says one utterance; `loudness` is that of `Motion`."""
    frames = len(loudness)
    actions = facial_actions(cue, frames, fps, rng)
    return Motion(actions, _blinks(frames, fps, rng), _wander(frames, fps, 6, rng), loudness)


def resting(frames: int, fps: int, rng: np.random.Generator) -> Motion:
    """Motion of a head that listens: nearly neutral, the mouth shut."""
    actions = 0.08 * _wander(frames, fps, len(ACTIONS), rng)
    actions[:, ACTIONS.index("open")] = 0
    sway = 0.5 * _wander(frames, fps, 6, rng)
    return Motion(actions, _blinks(frames, fps, rng), sway, np.zeros(frames))


def facial_actions(cue: Cue, frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """`Motion.actions` of one utterance, without speech and blinks."""
    expression = EXPRESSIONS[cue.emotion]
    strength = course(expression.course, frames, fps, rng) * cue.strength
    shown = strength[:, None] * np.array(expression.actions)
    if cue.emotion == "neutral" and rng.random() < POLITE_SMILE:
        shown = shown + 0.5 * np.array(EXPRESSIONS["joy"].actions)
    habit = rng.normal(0, 0.12, len(ACTIONS))
    return np.asarray(shown + habit + _wander(frames, fps, len(ACTIONS), rng) * 0.1)


def _wander(frames: int, fps: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Slow random motion (three sines below 1.2 Hz), (frames, count), about unit variance."""
    seconds = np.arange(frames)[:, None, None] / fps
    hertz = rng.uniform(0.1, 1.2, (1, count, 3))
    phases = rng.uniform(0, 2 * np.pi, (1, count, 3))
    return np.asarray(np.sin(2 * np.pi * hertz * seconds + phases).sum(axis=2) * 0.8)


def _blinks(frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """`Motion.shut`; about one blink every two seconds."""
    shut = np.zeros(frames)
    for start in np.flatnonzero(rng.random(frames) < 0.5 / fps).tolist():
        length = max(2, round(0.16 * fps))
        shape = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        end = min(frames, start + length)
        shut[start:end] = np.maximum(shut[start:end], shape[: end - start])
    return shut
