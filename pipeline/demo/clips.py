"""Rendering the clips of a corpus, each from its own seed, by several processes."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2

from pipeline.demo.clip import write_clip
from pipeline.demo.conversation import Turn
from pipeline.demo.face import talking_head
from pipeline.demo.looks import Look, draw_look
from pipeline.demo.seeds import CAST, CLIP, generator
from pipeline.demo.voice import RATE, Voice, draw_voice, loudness_per_frame, speak
from pipeline.progress import track
from pipeline.settings.demo import DemoSettings

KEPT_OF_BROKEN = 0.6  # of a truncated clip's bytes; the moov atom lies at the end


@dataclass(frozen=True)
class Clip:
    """A clip to write.

    Attributes:
        path: Where, relative to the tree's root.
        part: Number of the turn's part of the corpus, for the seed.
        turn: What it shows.
        audio: `stereo`, `5.1`, or None for no audio stream.
        broken: Whether the file ends too early.
    """

    path: str
    part: int
    turn: Turn
    audio: str | None = "stereo"
    broken: bool = False


def render(settings: DemoSettings, folder: Path, clips: Sequence[Clip]) -> None:
    """Writes `clips` under `folder` with `settings.workers` processes.

    With more than one worker the processes are spawned, so a script that calls this needs the
    usual `if __name__ == "__main__"` guard.
    """
    jobs = [(settings, folder, clip) for clip in clips]
    for _ in track(_rendered(settings.workers, jobs), "demo clips", len(jobs)):
        pass


def _rendered(workers: int, jobs: list[tuple[DemoSettings, Path, Clip]]) -> Iterator[None]:
    if workers == 1:
        yield from map(_render, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(_render, jobs, chunksize=4)


def _one_thread() -> None:
    """The processes share the cores between them."""
    cv2.setNumThreads(1)


@lru_cache
def _speaker(seed: int, speaker: int) -> tuple[Look, Voice]:
    rng = generator(seed, CAST, speaker)
    return draw_look(rng, speaker), draw_voice(rng)


def _render(job: tuple[DemoSettings, Path, Clip]) -> None:
    settings, folder, clip = job
    turn, size = clip.turn, (settings.width, settings.height)
    look, voice = _speaker(settings.seed, turn.speaker)
    rng = generator(settings.seed, CLIP, clip.part, turn.dialogue, turn.position)
    sound = speak(voice, turn.voice, turn.seconds, rng)
    loudness = loudness_per_frame(sound, round(turn.seconds * settings.fps))
    frames = talking_head(look, turn.face, loudness, size, settings.fps, rng)
    path = folder / clip.path
    write_clip(path, frames, size, settings.fps, sound, RATE, clip.audio)
    if clip.broken:
        whole = path.read_bytes()
        path.write_bytes(whole[: round(len(whole) * KEPT_OF_BROKEN)])
