"""A demo corpus with the layout and the faults of an unpacked `MELD.Raw`.

```
train_splits/dia{D}_utt{U}.mp4                 train_sent_emo.csv
dev_splits_complete/dia{D}_utt{U}.mp4          dev_sent_emo.csv
output_repeated_splits_test/dia{D}_utt{U}.mp4  test_sent_emo.csv
```

The faults, one of each: in train a clip without a moov atom, one that is missing, one without
audio, one in 5.1, and a gap in the dialogue ids and in the utterance ids of a dialogue; in test a
clip without audio, one in 5.1, one without annotation, and one under two names, of which
`final_videos_testdia*.mp4` is right and the plain name shows another utterance.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from pipeline.demo.clips import render_all, write_apple_double, write_mp4
from pipeline.demo.conversation import CLIP, QUIRKS, SPEAKER, Turn, converse, generator
from pipeline.demo.face import Look, draw_look, talking_head
from pipeline.demo.settings import DemoSettings
from pipeline.demo.voice import Voice, draw_voice, loudness_per_frame, speak
from pipeline.demo.words import CAST

FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
COLUMNS = (
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
)
TWIN_PREFIX = "final_videos_test"
KEPT_OF_BROKEN = 0.6  # of a truncated clip's bytes; the moov atom lies at the end


@dataclass(frozen=True)
class Split:
    """A split's turns, in order, and its faults."""

    turns: tuple[Turn, ...]
    unannotated: tuple[Turn, ...] = ()  # without a row in the CSV
    absent: tuple[Turn, ...] = ()  # without a clip
    broken: Turn | None = None  # its clip ends too early
    silent: Turn | None = None  # its clip has no audio stream
    surround: Turn | None = None  # its clip has 5.1 audio
    twin: tuple[Turn, Turn] | None = None  # of the first the plain clip shows the second
    missing_dialogue: int | None = None  # an id that is left out

    def dialogue_id(self, turn: Turn) -> int:
        """The id on disk: a missing dialogue moves the later ones up by one."""
        missing = self.missing_dialogue
        return turn.dialogue + (missing is not None and turn.dialogue >= missing)

    def name(self, turn: Turn) -> str:
        """The clip's file name."""
        return f"dia{self.dialogue_id(turn)}_utt{turn.position}.mp4"


@dataclass(frozen=True)
class Clip:
    """A clip to write to `path`, relative to the root; `audio` is a layout of `write_mp4`."""

    path: str
    split: int
    turn: Turn
    audio: str | None = "stereo"
    broken: bool = False


def write_meld_tree(settings: DemoSettings, folder: Path) -> None:
    """Write a demo corpus in MELD's layout into the empty `folder`."""
    clips: list[Clip] = []
    for number, (name, split) in enumerate(plan(settings).items()):
        (folder / f"{name}_sent_emo.csv").write_bytes(_csv(settings, number, split))
        (folder / FOLDERS[name]).mkdir()
        clips += _clips(split, number, FOLDERS[name])
    write_apple_double(folder / FOLDERS["test"] / "dia0_utt0.mp4")
    render_all(partial(_render, settings, folder), clips, settings.workers, "demo clips")


def plan(settings: DemoSettings) -> dict[str, Split]:
    """The turns and faults of every split."""
    splits = {}
    for number, name in enumerate(FOLDERS):
        turns = converse(settings, number, settings.dialogues[name])
        splits[name] = _with_faults(name, turns, generator(settings.seed, QUIRKS, number))
    return splits


def _with_faults(split: str, turns: list[Turn], rng: np.random.Generator) -> Split:
    if split == "dev":
        return Split(tuple(turns))
    gap = _inner_turn(turns, rng)
    others = [turn for turn in turns if turn != gap]
    a, b, c, d = (others[i] for i in rng.choice(len(others), 4, replace=False).tolist())
    if split == "test":
        return Split(tuple(turns), (gap,), silent=a, surround=b, twin=(c, d))
    return Split(
        tuple(turns),
        unannotated=(gap,),
        absent=(gap, a),
        broken=b,
        silent=c,
        surround=d,
        missing_dialogue=max(1, (turns[-1].dialogue + 1) // 2),
    )


def _inner_turn(turns: list[Turn], rng: np.random.Generator) -> Turn:
    """Draw a turn from within a dialogue, of the commonest emotion if possible."""
    ends = {turn.dialogue: turn.position for turn in turns}
    inner = [turn for turn in turns if 0 < turn.position < ends[turn.dialogue]]
    common = [turn for turn in inner if turn.emotion == "neutral"] or inner
    return common[int(rng.integers(len(common)))]


def _csv(settings: DemoSettings, number: int, split: Split) -> bytes:
    """The split's annotation in MELD's dialect: UTF-8, CRLF, quotes only where needed."""
    rng = generator(settings.seed, QUIRKS, number, 1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    dialogue, clock, season, episode = -1, 0.0, 0, 0
    for serial, turn in enumerate(split.turns, start=1):
        if turn.dialogue != dialogue:
            dialogue, clock = turn.dialogue, rng.uniform(20, 1300)
            season, episode = int(rng.integers(1, 11)), int(rng.integers(1, 25))
        start = clock + rng.uniform(0.1, 0.9)
        clock = start + turn.seconds
        if turn in split.unannotated:
            continue
        # Typographic apostrophes, as in MELD.
        words = turn.text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
        labels = (CAST[turn.speaker], turn.emotion, turn.sentiment)
        place = (split.dialogue_id(turn), turn.position, season, episode)
        writer.writerow([serial, words, *labels, *place, timestamp(start), timestamp(clock)])
    return text.getvalue().encode()


def timestamp(seconds: float) -> str:
    """A time in the episode, for example `00:20:57,256`."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"


def _clips(split: Split, number: int, folder: str) -> Iterator[Clip]:
    """The clips of a split in order, without those that are absent."""
    for turn in split.turns:
        if turn in split.absent:
            continue
        shown = turn
        if split.twin is not None and turn == split.twin[0]:
            yield Clip(f"{folder}/{TWIN_PREFIX}{split.name(turn)}", number, turn)
            shown = split.twin[1]
        audio = {split.surround: "5.1", split.silent: None}.get(turn, "stereo")
        path, broken = f"{folder}/{split.name(turn)}", turn == split.broken
        yield Clip(path, number, shown, audio, broken)


def _render(settings: DemoSettings, folder: Path, clip: Clip) -> None:
    turn, size = clip.turn, (settings.width, settings.height)
    look, voice = _speaker(settings.seed, turn.speaker)
    rng = generator(settings.seed, CLIP, clip.split, turn.dialogue, turn.position)
    sound = speak(voice, turn.voice, turn.seconds, rng)
    loudness = loudness_per_frame(sound, round(turn.seconds * settings.fps))
    frames = talking_head(look, turn.face, loudness, size, settings.fps, rng)
    path = folder / clip.path
    write_mp4(path, frames, size, settings.fps, sound, clip.audio)
    if clip.broken:
        whole = path.read_bytes()
        path.write_bytes(whole[: round(len(whole) * KEPT_OF_BROKEN)])


@lru_cache
def _speaker(seed: int, speaker: int) -> tuple[Look, Voice]:
    rng = generator(seed, SPEAKER, speaker)
    return draw_look(rng, speaker), draw_voice(rng)
