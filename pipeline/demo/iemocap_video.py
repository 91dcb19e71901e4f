"""The picture of a dialogue: two actors side by side between black bars.

IEMOCAP's camera shows both actors in half a frame each, the one with the markers on the left.
Whoever speaks shows the turn's cue; whoever listens hardly moves and is redrawn every third frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.demo.conversation import Cue
from pipeline.demo.expression import Motion, facial_actions, resting
from pipeline.demo.face import Portrait
from pipeline.demo.looks import Look
from pipeline.demo.voice import loudness_per_frame

TOP, BOTTOM = 112 / 480, 368 / 480  # rows that hold a picture, as shares of the height
REDRAWN = 3  # frames between two pictures of a listener


@dataclass(frozen=True)
class Said:
    """One turn of an actor: when (seconds), what the face shows, and the sound (samples,)."""

    start: float
    end: float
    face: Cue
    sound: np.ndarray


def two_actors(
    actors: Sequence[tuple[Look, Sequence[Said]]],
    seconds: float,
    size: tuple[int, int],
    fps: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Draws a dialogue.

    Args:
        actors: Looks and turns of the left actor, who wears markers, and of the right one.
        seconds: Length of the dialogue.
        size: Width and height of the frames, pixels.
        fps: Frames per second.
        rng: Draws motion, background and noise.

    Yields:
        Frames (height, width, 3), uint8, BGR.
    """
    frames, (width, height) = round(seconds * fps), size
    # Even rows, so that no chroma sample lies half on the black.
    top, bottom = 2 * -int(-TOP * height // 2), 2 * int(BOTTOM * height / 2)
    edges = (0, width // 2, width)
    half_sizes = [(right - left, bottom - top) for left, right in pairwise(edges)]
    shown = []
    for half, (look, turns) in enumerate(actors):
        portrait = Portrait(look, half_sizes[half], rng, markers=half == 0)
        shown.append((portrait, acting(turns, frames, fps, rng)))
    picture = np.zeros((height, width, 3), np.uint8)
    for frame in range(frames):
        for half, (portrait, motion) in enumerate(shown):
            if motion.loudness[frame] > 0 or frame % REDRAWN == half or frame == 0:
                drawn = portrait.draw(motion, frame)
                picture[top:bottom, edges[half] : edges[half + 1]] = drawn
        yield picture.copy()


def acting(turns: Sequence[Said], frames: int, fps: int, rng: np.random.Generator) -> Motion:
    """How an actor moves over a whole dialogue; loudness is 0 where the actor listens."""
    motion = resting(frames, fps, rng)
    for turn in turns:
        # Frame n lies at n / fps seconds; the turn has those from its start to before its end.
        first, stop = (int(np.ceil(time * fps - 1e-9)) for time in (turn.start, turn.end))
        motion.loudness[first:stop] = loudness_per_frame(turn.sound, stop - first)
        motion.actions[first:stop] = facial_actions(turn.face, stop - first, fps, rng)
    return motion
