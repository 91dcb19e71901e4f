"""IEMOCAP and MELD at their full size with stub media, for tests and benchmarks.

Every count that is published comes out: turns and six-class turns of each dialogue, classes of
each split. Texts, times and votes are made up; each media file is real, short, and unlike the
others.
"""

import csv
import itertools
import shutil
import wave
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from pipeline.demo.iemocap_text import (
    CLASSES,
    Rating,
    Recorded,
    Spoken,
    evaluation_text,
    transcription_text,
)

from pipeline.corpora.iemocap import COSMIC, COSMIC_SIX, SIX

WORDS = {code: word for word, code in CLASSES.items()}
RARE = Counter(sur=107, fea=40, oth=3, dis=2)
# Of the happy ones, those whose raters found no majority: sessions 1 to 4, session 5.
UNDECIDED = {"train": 52, "valid": 0, "test": 1}
SECONDS, RATE = 600, 16_000
MELD_FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}


@dataclass(frozen=True)
class Size:
    """A dialogue's name, its turns, and how many of them are of the six classes."""

    dialogue: str
    turns: int
    labelled: int

    @property
    def split(self) -> str:
        """COSMIC's."""
        if self.dialogue[4] == "5":
            return "test"
        return "valid" if self.dialogue in COSMIC else "train"


def read_sizes(path: Path) -> list[Size]:
    """The real dialogues: lines of name, turns, six-class turns."""
    lines = (line.split("\t") for line in path.read_text().splitlines())
    return [Size(name, int(turns), int(labelled)) for name, turns, labelled in lines]


def write_iemocap(root: Path, sizes: Sequence[Size]) -> None:
    """Writes a tree in the layout of the full release."""
    video = _video(root)
    for number, recorded in enumerate(conversations(sizes)):
        session = root / f"Session{recorded.dialogue[4]}"
        texts = {"EmoEvaluation": evaluation_text, "transcriptions": transcription_text}
        for part, text in texts.items():
            path = session / f"dialog/{part}/{recorded.dialogue}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text(recorded).encode("latin-1"))
        avi = session / f"dialog/avi/DivX/{recorded.dialogue}.avi"
        avi.parent.mkdir(parents=True, exist_ok=True)
        avi.write_bytes(video + number.to_bytes(4, "big"))
        folder = session / "sentences/wav" / recorded.dialogue
        folder.mkdir(parents=True)
        for place, turn in enumerate(recorded.turns):
            _write_wav(folder / f"{turn.utterance}.wav", 1000 * number + place)


def conversations(sizes: Sequence[Size]) -> Iterator[Recorded]:
    """Made-up dialogues whose codes add up to the published counts."""
    six = _codes_by_split()
    undecided = {split: itertools.repeat("xxx!", number) for split, number in UNDECIDED.items()}
    rare = itertools.chain(RARE.elements(), itertools.repeat("xxx"))
    for size in sizes:
        codes = [next(six[size.split]) for _ in range(size.labelled)]
        codes = [next(undecided[size.split], c) if c == "hap" else c for c in codes]
        codes += [next(rare) for _ in range(size.turns - size.labelled)]
        yield Recorded(size.dialogue, tuple(_turns(size.dialogue, codes)))


def _codes_by_split() -> dict[str, Iterator[str]]:
    counts = {split: (COSMIC_SIX | SIX)[split,] for split in ("train", "valid", "test")}
    return {split: iter(_shuffled(Counter(classes))) for split, classes in counts.items()}


def _shuffled(counts: Counter[str]) -> list[str]:
    codes = sorted(counts.elements())
    return [codes[place] for place in np.random.default_rng(7433).permutation(len(codes))]


def _turns(dialogue: str, codes: Sequence[str]) -> Iterator[Spoken]:
    for place, code in enumerate(codes):
        utterance = f"{dialogue}_{'FM'[place % 2]}{place // 2:03}"
        said = _votes(code)
        raters = ("E1", "E2", "E4", f"{utterance[-4]}1")
        ratings = tuple(Rating(r, labels, 3, 3, 3) for r, labels in zip(raters, said, strict=True))
        start = 3.2 * place
        yield Spoken(utterance, "Words.", start, start + 3.5, code.rstrip("!"), 3, 3, 3, ratings)


def _votes(code: str) -> list[tuple[str, ...]]:
    """Labels of three raters and of the speaker; `xxx!` is one that the rule makes happy."""
    if code == "xxx!":
        return [("Happiness",), ("Neutral",), ("Excited",), ("Happiness",)]
    if code == "xxx":
        return [("Happiness",), ("Neutral",), ("Excited",), ("Anger",)]
    return [(WORDS[code],)] * 4


def _video(folder: Path) -> bytes:
    """An avi as long as the longest dialogue, a picture a second."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "stub.avi"
    with av.open(str(path), "w") as box:
        stream = box.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for second in range(SECONDS):
            picture = np.full((48, 64, 3), second % 256, np.uint8)
            box.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        box.mux(stream.encode(None))
    data = path.read_bytes()
    path.unlink()
    return data


def _write_wav(path: Path, number: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(number.to_bytes(4, "little") * 80)


def write_meld(root: Path, annotations: Path) -> None:
    """Writes a tree of MELD: the real CSVs, and a stub clip for each of their rows."""
    root.mkdir(parents=True, exist_ok=True)
    clip = stub_clip(root)
    for number, (split, folder) in enumerate(MELD_FOLDERS.items()):
        name = f"{split}_sent_emo.csv"
        shutil.copy(annotations / name, root / name)
        (root / folder).mkdir()
        with (root / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                ids = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
                path = root / folder / f"dia{ids[0]}_utt{ids[1]}.mp4"
                path.write_bytes(clip + free_box(bytes([number, *divmod(ids[0], 256), ids[1]])))


def free_box(content: bytes) -> bytes:
    """A box that players pass over; it makes every clip a file of its own."""
    return (8 + len(content)).to_bytes(4, "big") + b"free" + content


def stub_clip(folder: Path) -> bytes:
    """The bytes of an mp4 of 0.2 s."""
    path = folder / "stub.mp4"
    with av.open(str(path), "w") as box:
        video = box.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = box.add_stream("aac", rate=48_000, layout="stereo")
        for _ in range(5):
            grey = np.full((48, 64, 3), 90, np.uint8)
            box.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        box.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 9600), np.float32), "fltp", "stereo")
        sound.sample_rate = 48_000
        box.mux(audio.encode(sound))
        box.mux(audio.encode(None))
    data = path.read_bytes()
    path.unlink()
    return data
