"""Rendering a dialogue of IEMOCAP's layout: its sound, cut into sentences, and its picture."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.demo.iemocap_plan import Staged, letter
from pipeline.demo.iemocap_video import Said, two_actors
from pipeline.demo.looks import Look, draw_look
from pipeline.demo.recording import write_avi, write_wav
from pipeline.demo.seeds import CAST, CLIP, STAGE, generator
from pipeline.demo.settings import DemoSettings
from pipeline.demo.voice import RATE, Voice, draw_voice, speak
from pipeline.demo.workers import run_jobs

ROOM = 0.0008  # noise of a silent channel, relative to full scale


def render(settings: DemoSettings, folder: Path, staged: Sequence[Staged]) -> None:
    """Writes avi and wavs of `staged` under `folder`, whose folders exist."""
    jobs = [(settings, folder, one) for one in staged]
    run_jobs(_render, jobs, settings.workers, "demo dialogues")


def wav_folder(folder: Path, staged: Staged) -> Path:
    """Where the sentence wavs of a dialogue lie."""
    name = staged.recorded.dialogue
    return folder / f"Session{staged.session}/sentences/wav" / name


@lru_cache
def actor(seed: int, speaker: int) -> tuple[Look, Voice]:
    """Looks and voice of one of the ten actors, women with long hair and high voices."""
    rng, woman = generator(seed, CAST, speaker), letter(speaker) == "F"
    look = replace(draw_look(rng, speaker), long_hair=woman)
    return look, draw_voice(rng, high=woman)


def _render(job: tuple[DemoSettings, Path, Staged]) -> None:
    settings, folder, staged = job
    rng = generator(settings.seed, STAGE, staged.session, staged.number)
    dialog, name = folder / f"Session{staged.session}/dialog", staged.recorded.dialogue
    sounds, speakers = _sounds(settings, staged), _left_and_right(staged)
    channels = rng.normal(0, ROOM, (2, round(staged.seconds * RATE)))
    for turn, spoken, sound in zip(staged.turns, staged.recorded.turns, sounds, strict=True):
        first = round(spoken.start * RATE)
        channel = channels[speakers.index(turn.speaker), first : first + len(sound)]
        channel += sound
        path = wav_folder(folder, staged) / f"{spoken.utterance}.wav"
        if spoken.utterance in staged.empty:
            path.touch()
        elif spoken.utterance not in staged.absent:
            write_wav(path, channel[None], RATE)
    write_wav(dialog / f"wav/{name}.wav", channels, RATE)
    actors = [(actor(settings.seed, who)[0], _said(staged, sounds, who)) for who in speakers]
    size = (settings.width, settings.height)
    frames = two_actors(actors, staged.seconds, size, settings.fps, rng)
    write_avi(dialog / f"avi/DivX/{name}.avi", frames, size, settings.fps)


def _left_and_right(staged: Staged) -> tuple[int, int]:
    """The speakers: first who wears the markers, as character 5 of the dialogue's name tells."""
    woman = 2 * staged.session - 2
    return (woman, woman + 1) if staged.recorded.dialogue[5] == "F" else (woman + 1, woman)


def _sounds(settings: DemoSettings, staged: Staged) -> list[np.ndarray]:
    """What each turn sounds like, (samples,) at `RATE`."""
    sounds = []
    for turn, spoken in zip(staged.turns, staged.recorded.turns, strict=True):
        rng = generator(settings.seed, CLIP, staged.session, staged.number, turn.position)
        _, voice = actor(settings.seed, turn.speaker)
        sounds.append(speak(voice, turn.voice, spoken.end - spoken.start, rng))
    return sounds


def _said(staged: Staged, sounds: Sequence[np.ndarray], speaker: int) -> list[Said]:
    """The turns of one speaker."""
    return [
        Said(spoken.start, spoken.end, turn.face, sound)
        for turn, spoken, sound in zip(staged.turns, staged.recorded.turns, sounds, strict=True)
        if turn.speaker == speaker
    ]
