"""A demo corpus with the layout and the faults of an unpacked `IEMOCAP_full_release`.

```
README.txt  Documentation/
Session{1..5}/dialog/avi/DivX/<D>.avi   dialog/EmoEvaluation/<D>.txt (and raters' own files)
              dialog/transcriptions/<D>.txt   dialog/wav/<D>.wav   sentences/wav/<D>/<U>.wav
```

IEMOCAP's camera shows both actors in half a frame each between black bars, the one with the
markers on the left. Whoever speaks shows the turn's cue; whoever listens hardly moves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.demo.clips import render_all, write_apple_double, write_avi, write_wav
from pipeline.demo.conversation import CLIP, SPEAKER, STAGE, Cue, generator
from pipeline.demo.expression import Motion, facial_actions, resting
from pipeline.demo.face import Look, Portrait, draw_look
from pipeline.demo.iemocap_annotation import evaluation_text, rater_files, transcription_text
from pipeline.demo.iemocap_plan import Dialogue, letter, plan
from pipeline.demo.settings import DemoSettings
from pipeline.demo.voice import RATE, Voice, draw_voice, loudness_per_frame, speak

README = """\
Synthetic stand-in with the layout of IEMOCAP_full_release: drawn faces, synthetic voices and
template sentences. It holds nothing of the IEMOCAP database.
"""
ROOM = 0.0008  # noise of a silent channel, relative to full scale
TOP, BOTTOM = 112 / 480, 368 / 480  # rows that hold a picture, as shares of the height
REDRAWN = 3  # a listener is redrawn every third frame
# The files of a dialogue: their folders below `dialog`, and how their names end.
KINDS = {"avi/DivX": "avi", "wav": "wav", "EmoEvaluation": "txt", "transcriptions": "txt"}


@dataclass(frozen=True)
class Speech:
    """One turn of an actor: when (seconds), what the face shows, and the sound (samples,)."""

    start: float
    end: float
    face: Cue
    sound: np.ndarray


def write_iemocap_tree(settings: DemoSettings, folder: Path) -> None:
    """Write a demo corpus in IEMOCAP's layout into the empty `folder`."""
    dialogues = plan(settings)
    for path in (folder / "README.txt", folder / "Documentation" / "README.txt"):
        _write_text(path, README)
    for one in dialogues:
        _write_annotation(folder, one)
    render_all(partial(_render, settings, folder), dialogues, settings.workers, "demo dialogues")
    for one in dialogues:
        if one.number == 0:
            _write_litter(folder, one)


def _dialog(folder: Path, one: Dialogue) -> Path:
    return folder / f"Session{one.session}/dialog"


def _sentences(folder: Path, one: Dialogue) -> Path:
    return folder / f"Session{one.session}/sentences/wav/{one.annotation.dialogue}"


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))


def _write_annotation(folder: Path, one: Dialogue) -> None:
    dialog, name = _dialog(folder, one), one.annotation.dialogue
    _write_text(dialog / f"EmoEvaluation/{name}.txt", evaluation_text(one.annotation))
    lines = transcription_text(one.annotation).splitlines(keepends=True)
    if one.number == 0:
        for place, line in enumerate(_odd_lines(one)):
            lines.insert(min(2 * place + 1, len(lines)), f"{line}\n")
    _write_text(dialog / f"transcriptions/{name}.txt", "".join(lines))
    for path, text in rater_files(one.annotation):
        _write_text(dialog / "EmoEvaluation" / path, text)


def _odd_lines(one: Dialogue) -> list[str]:
    """Lines of a transcription that belong to no turn, as the real ones have."""
    name, turns = one.annotation.dialogue, one.annotation.turns
    women = sum(turn.utterance[-4] == "F" for turn in turns)
    start, end = turns[-1].end + 0.1, turns[-1].end + 0.4
    return [
        "M: Mm-hmm.",
        f"{name}_MXX0 [{start:08.4f}-{end:08.4f}]: Yeah.",
        f"{name}_F{women:03}: Right.",  # no times
        "F: [LAUGHTER]",
    ]


def _write_litter(folder: Path, one: Dialogue) -> None:
    """Write AppleDouble files beside one file of every kind."""
    dialog, name = _dialog(folder, one), one.annotation.dialogue
    for kind, ending in KINDS.items():
        write_apple_double(dialog / kind / f"{name}.{ending}")
    write_apple_double(_sentences(folder, one) / f"{one.annotation.turns[0].utterance}.wav")


def _render(settings: DemoSettings, folder: Path, one: Dialogue) -> None:
    """Write the avi and the wavs of a dialogue."""
    rng = generator(settings.seed, STAGE, one.session, one.number)
    dialog, name = _dialog(folder, one), one.annotation.dialogue
    for path in (dialog / "avi/DivX", dialog / "wav", _sentences(folder, one)):
        path.mkdir(parents=True, exist_ok=True)
    woman = 2 * one.session - 2
    speakers = (woman, woman + 1) if name[5] == "F" else (woman + 1, woman)  # left, right
    speeches: dict[int, list[Speech]] = {speaker: [] for speaker in speakers}
    channels = rng.normal(0, ROOM, (2, round(one.seconds * RATE)))
    for turn, annotated in zip(one.turns, one.annotation.turns, strict=True):
        clip_rng = generator(settings.seed, CLIP, one.session, one.number, turn.position)
        voice = actor(settings.seed, turn.speaker)[1]
        sound = speak(voice, turn.voice, annotated.end - annotated.start, clip_rng)
        speeches[turn.speaker].append(Speech(annotated.start, annotated.end, turn.face, sound))
        first = round(annotated.start * RATE)
        channel = channels[speakers.index(turn.speaker), first : first + len(sound)]
        channel += sound
        path = _sentences(folder, one) / f"{annotated.utterance}.wav"
        if annotated.utterance in one.empty:
            path.touch()
        elif annotated.utterance not in one.absent:
            write_wav(path, channel)
    write_wav(dialog / f"wav/{name}.wav", channels.T)
    actors = [(actor(settings.seed, who)[0], speeches[who]) for who in speakers]
    size = (settings.width, settings.height)
    frames = two_actors(actors, one.seconds, size, settings.fps, rng)
    write_avi(dialog / f"avi/DivX/{name}.avi", frames, size, settings.fps)


@lru_cache
def actor(seed: int, speaker: int) -> tuple[Look, Voice]:
    """Looks and voice of one of the ten actors; women have long hair and high voices."""
    rng, woman = generator(seed, SPEAKER, speaker), letter(speaker) == "F"
    look = replace(draw_look(rng, speaker), long_hair=woman)
    return look, draw_voice(rng, high=woman)


def two_actors(
    actors: Sequence[tuple[Look, Sequence[Speech]]],
    seconds: float,
    size: tuple[int, int],
    fps: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Draw a dialogue, (height, width, 3), uint8, BGR each frame.

    Actors are the left one, who wears markers, and the right one, with their turns.
    """
    frames, (width, height) = round(seconds * fps), size
    # Even rows, so that no chroma sample lies half on the black.
    top, bottom = 2 * -int(-TOP * height // 2), 2 * int(BOTTOM * height / 2)
    edges = (0, width // 2, width)
    shown = []
    for (left, right), (look, turns) in zip(pairwise(edges), actors, strict=True):
        portrait = Portrait(look, (right - left, bottom - top), rng, markers=left == 0)
        shown.append((portrait, acting(turns, frames, fps, rng)))
    picture = np.zeros((height, width, 3), np.uint8)
    for frame in range(frames):
        for half, (portrait, motion) in enumerate(shown):
            if motion.loudness[frame] > 0 or frame % REDRAWN == half or frame == 0:
                drawn = portrait.draw(motion, frame)
                picture[top:bottom, edges[half] : edges[half + 1]] = drawn
        yield picture.copy()


def acting(turns: Sequence[Speech], frames: int, fps: int, rng: np.random.Generator) -> Motion:
    """How an actor moves over a whole dialogue; loudness is 0 where the actor listens."""
    motion = resting(frames, fps, rng)
    for turn in turns:
        # Frame n lies at n / fps seconds; the turn has those from its start to before its end.
        first, stop = (int(np.ceil(time * fps - 1e-9)) for time in (turn.start, turn.end))
        motion.loudness[first:stop] = loudness_per_frame(turn.sound, stop - first)
        motion.actions[first:stop] = facial_actions(turn.face, stop - first, fps, rng)
    return motion
