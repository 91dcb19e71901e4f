"""Rendering the clips of MELD's layout, each from its own seed, by several processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.demo.clip import write_clip
from pipeline.demo.conversation import Turn
from pipeline.demo.face import talking_head
from pipeline.demo.looks import Look, draw_look
from pipeline.demo.seeds import CAST, CLIP, generator
from pipeline.demo.settings import DemoSettings
from pipeline.demo.voice import RATE, Voice, draw_voice, loudness_per_frame, speak
from pipeline.demo.workers import run_jobs

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
    """Writes `clips` under `folder` with `settings.workers` processes."""
    jobs = [(settings, folder, clip) for clip in clips]
    run_jobs(_render, jobs, settings.workers, "demo clips")


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
