"""What the extraction benchmark reads: clips like MELD's, a dialogue like IEMOCAP's, texts.

All of it is made on the spot and the same on every run. Real faces, voices and texts are used
where `../shared/data` has them; else faces are drawn, voices synthesised and texts made up.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.encoding import SOUND_RATE, write_avi, write_cut, write_mp4, write_repeated
from benchmarks.footage import faces_of, footage
from pipeline.base.workers import ordered_map
from pipeline.demo.conversation import Cue
from pipeline.demo.voice import RATE, draw_voice, speak
from pipeline.media.audio import load_mono
from pipeline.media.packets import Window

SHARED = Path(__file__).parents[2] / "shared/data"
TALKING = SHARED / "talking_clips"
MELD_CSV = SHARED / "meld_csv/train_sent_emo.csv"
CLIP_SIZE, CLIP_RATE, CLIP_BITS = (1280, 720), 24, 2_000_000
CLIP_SECONDS = 3.0
AVI_SIZE, AVI_RATE, AVI_BITS = (720, 480), 30, 1_500_000
KEY_INTERVAL = 250  # frames between two key frames of the avi; DivX of the time put 250 to 300
ENCODED_SECONDS = 20.0  # of the avi; its packets are repeated
STRIDE, LENGTH = 3.3, 4.5  # mean seconds from one turn's start to the next, and of a turn
# Quantiles of the words of MELD's training utterances.
WORDS = (1, 1, 3, 6, 11, 17, 27, 69)
AT = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)
SYLLABLES = ("no", "we", "are", "you", "really", "going", "so", "that", "well", "know", "what")


@dataclass(frozen=True)
class Material:
    """Files and texts of a run.

    Attributes:
        clips: H.264 and AAC, 1280 x 720, 3 s.
        dialogue: MPEG-4 in avi, 720 x 480.
        turns: When its speakers talk, overlapping.
        texts: Utterances, all different.
    """

    clips: list[Path]
    dialogue: Path
    turns: list[Window]
    texts: list[str]


def make_material(folder: Path, clips: int, dialogue_seconds: float, texts: int) -> Material:
    """Makes all of it in a folder."""
    made = list(ordered_map(lambda number: make_clip(folder, number), range(clips)))
    dialogue = make_dialogue(folder, dialogue_seconds)
    return Material(made, dialogue, make_turns(dialogue_seconds), make_texts(texts))


def make_clip(folder: Path, number: int, seconds: float = CLIP_SECONDS) -> Path:
    """Encodes one clip."""
    rng = np.random.default_rng([1, number])
    frames = footage(CLIP_SIZE, CLIP_RATE, seconds, faces_of(TALKING, number), rng)
    sound = _sound(number, seconds, rng)
    path = folder / f"encoded{number}.mp4"
    return write_mp4(path, frames, CLIP_SIZE, CLIP_RATE, CLIP_BITS, sound)


def _sound(number: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    files = sorted(TALKING.glob("*.mpg"))
    if files:
        path = files[number % len(files)]
        mono = load_mono(path, rate=SOUND_RATE, max_seconds=seconds)
    else:
        spoken = speak(draw_voice(rng), Cue("neutral", 0.5), seconds, rng)
        times = np.arange(round(seconds * SOUND_RATE)) * RATE / SOUND_RATE
        mono = np.interp(times, np.arange(len(spoken)), spoken)
    padded = np.resize(mono, round(seconds * SOUND_RATE))
    room = rng.normal(0, 0.002, (2, len(padded)))
    return np.clip(0.8 * padded + room, -1, 1).astype(np.float32)


def make_dialogue(folder: Path, seconds: float) -> Path:
    """Encodes some seconds of a dialogue, and repeats them."""
    rng = np.random.default_rng(2)
    short = min(seconds, ENCODED_SECONDS)
    frames = footage(AVI_SIZE, AVI_RATE, short, faces_of(TALKING, 0), rng)
    part = folder / "part.avi"
    write_avi(part, frames, AVI_SIZE, AVI_RATE, AVI_BITS, KEY_INTERVAL)
    return write_repeated(part, folder / "dialogue.avi", round(seconds / short))


def make_turns(seconds: float) -> list[Window]:
    """Turns in order of their starts; some begin before the last has ended."""
    rng = np.random.default_rng(3)
    starts = np.cumsum(rng.uniform(0.5, 1.5, round(seconds / STRIDE)) * STRIDE) - STRIDE / 2
    lengths = LENGTH * rng.gamma(4, 1 / 4, len(starts)).clip(0.2, 3)
    found = zip(starts.tolist(), lengths.tolist(), strict=True)
    return [Window(s, min(s + n, seconds), n) for s, n in found if s < seconds - 1]


def make_texts(count: int) -> list[str]:
    """Different utterances: MELD's where they are here, with numbers where there are too few."""
    found = _real_texts() or _made_up(10_000)
    texts = list(dict.fromkeys(found))
    return [texts[n % len(texts)] + " again" * (n // len(texts)) for n in range(count)]


def _real_texts() -> list[str]:
    if not MELD_CSV.is_file():
        return []
    with MELD_CSV.open(encoding="utf-8", newline="") as file:
        return [row["Utterance"] for row in csv.DictReader(file)]


def _made_up(count: int) -> list[str]:
    rng = np.random.default_rng(4)
    lengths = np.interp(rng.uniform(0, 1, count), AT, WORDS).round().astype(int)
    return [f"{' '.join(rng.choice(SYLLABLES, n))} {number}." for number, n in enumerate(lengths)]


def make_corpus_clips(encoded: list[Path], folder: Path, names: list[str]) -> list[Path]:
    """As many clips as there are names, each with pixels of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (encoded[n % len(encoded)], folder / name, n // len(encoded))
        for n, name in enumerate(names)
    ]
    return list(ordered_map(lambda job: write_cut(*job), jobs))
