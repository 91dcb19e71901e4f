"""How a face moves over an utterance: the course of each facial action for each emotion.

Two pairs of emotions share one look and differ in its course alone: surprise bursts out and
fades where fear swells, disgust bursts where anger swells. The courses of a pair are each
other's reverse in time, so the frames of both have the same mean and only their order tells them
apart. Joy swings, and a neutral face may hold a polite smile of joy's mean. Of IEMOCAP's own
emotions, happiness and excitement swing alike and differ in how far eyes and mouth open, and
frustration is a held anger with a shut mouth.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.demo.conversation import Cue

ACTIONS = ("brow_raise", "brow_knit", "inner_brow", "lids", "smile", "open", "wrinkle", "tint")
LOOKS: dict[str, tuple[float, ...]] = {
    # brow_raise, brow_knit, inner_brow, lids, smile, open, wrinkle, tint (pale - / flushed +)
    "neutral": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "surprise": (1.0, 0.0, 0.3, 1.0, 0.0, 1.0, 0.0, -0.8),
    "fear": (1.0, 0.0, 0.3, 1.0, 0.0, 1.0, 0.0, -0.8),
    "sadness": (0.0, 0.0, 1.0, -0.7, -1.0, 0.0, 0.0, -0.4),
    "joy": (0.4, 0.0, 0.0, -0.4, 1.5, 0.7, 0.0, 0.4),
    "happiness": (0.1, 0.0, 0.0, -0.5, 1.3, 0.2, 0.0, 0.4),
    "excited": (0.8, 0.0, 0.0, 0.5, 1.4, 1.0, 0.0, 0.5),
    "frustration": (-0.2, 0.8, 0.3, -0.5, -0.8, 0.0, 0.3, 0.4),
    "disgust": (-0.3, 1.0, 0.0, -0.5, -0.6, 0.3, 1.0, 1.0),
    "anger": (-0.3, 1.0, 0.0, -0.5, -0.6, 0.3, 1.0, 1.0),
}
COURSES = {
    "neutral": "still",
    "surprise": "burst",
    "fear": "swell",
    "sadness": "hold",
    "joy": "swing",
    "happiness": "swing",
    "excited": "swing",
    "frustration": "hold",
    "disgust": "burst",
    "anger": "swell",
}
POLITE_SMILE = 0.12


def course(kind: str, frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """How strongly an expression shows over time.

    Args:
        kind: One of `still`, `hold`, `swing`, `burst`, `swell`.
        frames: Length of the utterance in frames.
        fps: Frames per second; a swing has 1.5–2.5 Hz.
        rng: Draws onset, decay and phase.

    Returns:
        (frames,), about 0–1; a swell is a burst reversed in time.
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
    """How a head moves, frame by frame.

    Attributes:
        actions: (frames, len(ACTIONS)), about -1 to 1, 0 at rest.
        shut: How far blinks shut the lids, (frames,), 0–1.
        sway: Gaze (2) and place (x, y, roll, distance), (frames, 6), about unit variance.
        loudness: Of the voice, it opens the mouth, (frames,), 0–1.
    """

    actions: np.ndarray
    shut: np.ndarray
    sway: np.ndarray
    loudness: np.ndarray


def speaking(cue: Cue, loudness: np.ndarray, fps: int, rng: np.random.Generator) -> Motion:
    """The motion of a head that says one utterance, as long as its `loudness`."""
    frames = len(loudness)
    actions = facial_actions(cue, frames, fps, rng)
    return Motion(actions, blinks(frames, fps, rng), wander(frames, fps, 6, rng), loudness)


def resting(frames: int, fps: int, rng: np.random.Generator) -> Motion:
    """The motion of a head that listens: nearly neutral, the mouth shut."""
    actions = 0.08 * wander(frames, fps, len(ACTIONS), rng)
    actions[:, ACTIONS.index("open")] = 0
    sway = 0.5 * wander(frames, fps, 6, rng)
    return Motion(actions, blinks(frames, fps, rng), sway, np.zeros(frames))


def facial_actions(cue: Cue, frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """The facial actions of one utterance, without speech and blinks.

    Returns:
        (frames, len(ACTIONS)), about -1 to 1, 0 at rest.
    """
    look: np.ndarray = np.array(LOOKS[cue.emotion])
    strength = course(COURSES[cue.emotion], frames, fps, rng) * cue.strength
    shown = strength[:, None] * look
    if cue.emotion == "neutral" and rng.random() < POLITE_SMILE:
        shown = shown + 0.5 * np.array(LOOKS["joy"])
    habit = rng.normal(0, 0.12, len(ACTIONS))
    return np.asarray(shown + habit + wander(frames, fps, len(ACTIONS), rng) * 0.1)


def wander(frames: int, fps: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Slow random motion (a few sines below 1.2 Hz), (frames, count), about unit variance."""
    seconds = np.arange(frames)[:, None, None] / fps
    hertz = rng.uniform(0.1, 1.2, (1, count, 3))
    phases = rng.uniform(0, 2 * np.pi, (1, count, 3))
    return np.asarray(np.sin(2 * np.pi * hertz * seconds + phases).sum(axis=2) * 0.8)


def blinks(frames: int, fps: int, rng: np.random.Generator) -> np.ndarray:
    """How far the lids are shut by blinks, (frames,), 0–1; about one blink in two seconds."""
    shut = np.zeros(frames)
    for start in np.flatnonzero(rng.random(frames) < 0.5 / fps).tolist():
        length = max(2, round(0.16 * fps))
        shape = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        end = min(frames, start + length)
        shut[start:end] = np.maximum(shut[start:end], shape[: end - start])
    return shut
