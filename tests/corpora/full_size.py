"""IEMOCAP and MELD at their full size with stub media.

All published counts come out: turns and six-class turns of each dialogue, classes of each split.
Texts, times and votes are made up; every media file is real, short, and unlike the others.
"""

import csv
import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.corpora.iemocap import COSMIC, COSMIC_SIX, SIX
from pipeline.corpora.meld import FOLDERS
from pipeline.demo.iemocap_annotation import AnnotatedTurn, Annotation
from tests.corpora.iemocap_tree import lay_out, turn
from tests.media.make_media import write_media, write_wav

# Labels of three raters and of the speaker; `xxx!` is one that the rule makes happy.
SPLIT = (("Happiness",), ("Neutral",), ("Excited",))
VOTES = {"xxx!": (*SPLIT, ("Happiness",)), "xxx": (*SPLIT, ("Anger",))}
RARE = Counter(sur=107, fea=40, oth=3, dis=2)
# Of the happy ones, those whose raters found no majority: sessions 1 to 4, session 5.
UNDECIDED = {"train": 52, "valid": 0, "test": 1}
SECONDS = 600  # at least as long as the longest dialogue


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
    root.mkdir(parents=True, exist_ok=True)
    stub = root / "stub.avi"
    write_media(stub, stamps=range(SECONDS), video_codec="mpeg4", rate=Fraction(1))
    video = _taken(stub)
    sound = _taken(write_wav(root / "stub.wav", np.zeros(160, np.float32)))
    dialogues = list(conversations(sizes))
    lay_out(root, dialogues)
    for number, recorded in enumerate(dialogues):
        session = root / f"Session{recorded.dialogue[4]}"
        avi = session / f"dialog/avi/DivX/{recorded.dialogue}.avi"
        _write(avi, video + number.to_bytes(4, "big"))
        for place, one in enumerate(recorded.turns):
            # Other samples in every file: the last two of its data, which end the file.
            samples = (1000 * number + place).to_bytes(4, "little")
            wav = session / f"sentences/wav/{recorded.dialogue}/{one.utterance}.wav"
            _write(wav, sound[:-4] + samples)


def _taken(path: Path) -> bytes:
    """The bytes of a file, which is deleted."""
    data = path.read_bytes()
    path.unlink()
    return data


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def conversations(sizes: Sequence[Size]) -> Iterator[Annotation]:
    """Made-up dialogues whose codes add up to the published counts."""
    six = _codes_by_split()
    undecided = {split: itertools.repeat("xxx!", number) for split, number in UNDECIDED.items()}
    rare = itertools.chain(RARE.elements(), itertools.repeat("xxx"))
    for size in sizes:
        codes = [next(six[size.split]) for _ in range(size.labelled)]
        codes = [next(undecided[size.split], c) if c == "hap" else c for c in codes]
        codes += [next(rare) for _ in range(size.turns - size.labelled)]
        yield Annotation(size.dialogue, tuple(_turns(size.dialogue, codes)))


def _codes_by_split() -> dict[str, Iterator[str]]:
    counts = {split: (COSMIC_SIX | SIX)[split,] for split in ("train", "valid", "test")}
    return {split: iter(_shuffled(Counter(classes))) for split, classes in counts.items()}


def _shuffled(counts: Counter[str]) -> list[str]:
    codes = sorted(counts.elements())
    return [codes[place] for place in np.random.default_rng(7433).permutation(len(codes))]


def _turns(dialogue: str, codes: Sequence[str]) -> Iterator[AnnotatedTurn]:
    for place, code in enumerate(codes):
        utterance = f"{dialogue}_{'FM'[place % 2]}{place // 2:03}"
        yield turn(utterance, 3.2 * place, code.rstrip("!"), *VOTES.get(code, ()))


def write_meld(root: Path, annotations: Path) -> None:
    """Writes a tree of MELD: the real CSVs, and a stub clip for each of their rows."""
    root.mkdir(parents=True, exist_ok=True)
    silence = np.zeros((2, 9600), np.float32)
    stub = root / "stub.mp4"
    clip = _taken(write_media(stub, stamps=range(5), rate=Fraction(25), sound=silence))
    for number, (split, (folder, *_)) in enumerate(FOLDERS.items()):
        name = f"{split}_sent_emo.csv"
        shutil.copy(annotations / name, root / name)
        with (root / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                ids = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
                own = _free_box(bytes([number, *divmod(ids[0], 256), ids[1]]))
                _write(root / folder / f"dia{ids[0]}_utt{ids[1]}.mp4", clip + own)


def _free_box(content: bytes) -> bytes:
    """A box that players skip; it makes every clip a file of its own."""
    return (8 + len(content)).to_bytes(4, "big") + b"free" + content
