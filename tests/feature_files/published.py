"""Files as the field's repositories publish them, with made-up vectors: every layout, any size."""

import csv
import io
import json
import pickle
import struct
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pipeline.corpora.iemocap import COSMIC

SIX = ("hap", "sad", "neu", "ang", "exc", "fru")
MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
SENTIMENTS = ("neutral", "positive", "negative")
SIX_COUNTS = {"train": (504, 839, 1324, 933, 742, 1468), "test": (144, 245, 384, 170, 299, 381)}
FIRST = {"train": 0, "dev": 1039, "test": 1153}
# The elements of each published file, in order.
ONE = "ids speakers emotion text audio visual sentences train test"
FOUR = "text text2 text3 text4"
ELEMENTS = {
    "iemocap_9": ONE,
    "meld_9": "ids speakers emotion text audio sentences train test sentiment",
    "meld_10": f"{ONE} none",
    "sdt_12": f"ids speakers emotion {FOUR} audio visual sentences train test",
    "sdt_13": f"ids speakers emotion {FOUR} audio visual sentences train test none",
    "cfn_esa_14": f"ids speakers emotion sentiment {FOUR} audio visual sentences train test none",
    "cosmic_10": f"speakers emotion {FOUR} sentences apart test valid",
    "cosmic_11": f"speakers emotion sentiment {FOUR} sentences apart test valid",
    "skeleton_6": "speakers emotion sentences apart test valid",
    "skeleton_7": "speakers emotion sentiment sentences apart test valid",
    "gcnet_6": "ids emotion speakers sentences train test",
}
WIDTHS = {"text": 7, "text2": 7, "text3": 7, "text4": 7, "audio": 6, "visual": 5}


@dataclass
class Skeleton:
    """Facts by dialogue key, as the files have them; elements by their names."""

    ids: dict[Any, list[Any]] = field(default_factory=dict)
    speakers: dict[Any, list[Any]] = field(default_factory=dict)
    emotion: dict[Any, list[int]] = field(default_factory=dict)
    sentiment: dict[Any, list[int]] = field(default_factory=dict)
    sentences: dict[Any, list[str]] = field(default_factory=dict)
    train: Any = field(default_factory=list)  # with dev, as tuples have it
    valid: Any = field(default_factory=list)
    test: Any = field(default_factory=list)

    @property
    def apart(self) -> list[Any]:
        """The training dialogues without those of validation, as COSMIC has it."""
        return [key for key in self.train if key not in set(self.valid)]

    def elements(self, names: str, widths: Mapping[str, int] = WIDTHS, seed: int = 0) -> list[Any]:
        """The elements of a file; rows of numbers are `vectors` of the asked width."""
        made = {"none": None, **{n: getattr(self, n) for n in ("apart", *vars(self))}}
        generator = np.random.default_rng(seed)
        for name in names.split():
            if name not in made:
                made[name] = {
                    key: generator.standard_normal((len(turns), widths[name]), np.float32)
                    for key, turns in self.emotion.items()
                }
        return [made[name] for name in names.split()]

    def file(self, name: str, widths: Mapping[str, int] = WIDTHS) -> tuple[Any, ...]:
        """A tuple of `ELEMENTS`."""
        return tuple(self.elements(ELEMENTS[name], widths))


def iemocap(sizes: Mapping[str, int] | None = None) -> Skeleton:
    """A few dialogues of IEMOCAP, or those that `sizes` gives turns, labelled as published."""
    small = {f"Ses0{session}F_impro01": 4 + session for session in range(1, 6)}
    made = Skeleton()
    generator = np.random.default_rng(1)
    pools = {
        split: generator.permutation(np.repeat(np.arange(6), counts)).tolist()
        for split, counts in SIX_COUNTS.items()
    }
    for key, count in (sizes or small).items():
        sides = ["FM"[turn % 2] for turn in range(count)]
        made.ids[key] = [f"{key}_{side}{turn:03}" for turn, side in enumerate(sides)]
        made.speakers[key] = sides
        pool = pools["test" if key[4] == "5" else "train"]
        made.emotion[key] = [pool.pop() for _ in range(count)]
        made.sentences[key] = [f"This is turn {turn}  of it." for turn in range(count)]
    made.train = {key for key in made.ids if key[4] != "5"}  # a set, as real files have it
    made.valid = [key for key in made.ids if key in COSMIC]
    made.test = [key for key in made.ids if key[4] == "5"]
    return made


def iemocap_sizes(shared: Path) -> dict[str, int]:
    """The turns of the six classes in all 151 dialogues."""
    lines = (shared / "iemocap_dialogues.txt").read_text().splitlines()
    return {name: int(six) for name, _, six in map(str.split, lines)}


def meld(shared: Path | None = None) -> Skeleton:
    """A few dialogues of MELD around its traps, or all of the published CSVs."""
    rows = _csv_rows(shared) if shared else list(_small_meld())
    made = Skeleton()
    for split, dialogue, utterance, speaker, emotion, sentiment, text in sorted(
        rows, key=lambda row: (FIRST[row[0]], row[1], row[2])
    ):
        key = FIRST[split] + dialogue
        made.ids.setdefault(key, []).append(utterance)
        made.speakers.setdefault(key, []).append(speaker)
        made.emotion.setdefault(key, []).append(MELD.index(emotion))
        made.sentiment.setdefault(key, []).append(SENTIMENTS.index(sentiment))
        made.sentences.setdefault(key, []).append(text)
    for key, names in made.speakers.items():
        order = list(dict.fromkeys(names))
        made.speakers[key] = [[int(order.index(n) == place) for place in range(9)] for n in names]
    made.train = [key for key in made.ids if key < 1153]
    made.valid = [key for key in made.ids if 1039 <= key < 1153]
    made.test = [key for key in made.ids if key >= 1153]
    return made


def _small_meld() -> Any:
    dialogues = {"train": (0, 59, 61, 1038), "dev": (0, 113), "test": (0, 279)}
    for split, numbers in dialogues.items():
        for dialogue in numbers:
            for turn in range(3 + dialogue % 4):
                number = dialogue + turn
                yield (
                    split, dialogue, 2 * turn + 1, f"P{number % 3}", MELD[number % 7],
                    SENTIMENTS[number % 3], f"Sentence {turn} of {dialogue}.",
                )  # fmt: skip


def _csv_rows(shared: Path) -> list[tuple[Any, ...]]:
    rows = []
    for split in FIRST:
        path = shared / "meld_csv" / f"{split}_sent_emo.csv"
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                dialogue, utterance = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
                facts = row["Speaker"], row["Emotion"], row["Sentiment"], row["Utterance"]
                rows.append((split, dialogue, utterance, *facts))
    return rows


def emorynlp() -> Skeleton:
    """Three scenes of EmoryNLP as COSMIC has them: one-hot speakers of numpy integers."""
    made = Skeleton()
    for number, key in enumerate(("4_4_11", "1_2_3", "10_1_2")):
        count = 3 + number
        one_hot = [[np.int32(place == turn % 2) for place in range(9)] for turn in range(count)]
        made.speakers[key], made.sentences[key] = one_hot, ["Some words."] * count
        made.emotion[key] = [turn % 7 for turn in range(count)]
    made.train, made.valid, made.test = ["4_4_11", "1_2_3"], ["1_2_3"], ["10_1_2"]
    return made


def mmsa(clips: int = 4, sims: bool = False, aligned: bool = False) -> dict[str, Any]:
    """MMSA's dict: vectors padded with zeros behind, text with its mask."""
    generator = np.random.default_rng(2)
    content = {}
    for split in ("train", "valid", "test"):
        lengths = [1 + clip % 3 for clip in range(clips)]
        fields: dict[str, Any] = {
            "id": [f"{split}{clip}$_$1" for clip in range(clips)],
            "raw_text": np.array([f"Clip {clip}." for clip in range(clips)]),
            "regression_labels": generator.uniform(-1, 1, clips).astype(np.float32),
            "annotations": ["Neutral"] * clips,
        }
        for name, width in (("text", 8), ("audio", 5), ("vision", 4)):
            values = generator.standard_normal((clips, 6, width), np.float32)
            for row, length in enumerate(lengths):
                values[row, length:] = 7.0 if name == "text" else 0.0  # BERT fills its padding
            fields[name] = values
            if not aligned and name != "text":
                fields[f"{name}_lengths"] = lengths
        mask = np.arange(6) < np.array(lengths)[:, None]
        fields["text_bert"] = np.stack([mask, mask, mask], axis=1).astype(np.float32)
        if sims:
            fields |= dict.fromkeys(("regression_labels_T", "regression_labels_A"), lengths)
        content[split] = fields
    return content


def write(path: Path, content: Any, protocol: int = 4, numpy: int = 1) -> Path:
    """Pickle it, with the names of numpy 1 unless told otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickled(content, protocol, numpy))
    return path


def pickled(content: Any, protocol: int = 4, numpy: int = 1) -> bytes:
    """A pickle as numpy 1 or numpy 2 writes it."""
    file = io.BytesIO()
    (_Numpy1(file, protocol) if numpy == 1 else pickle.Pickler(file, protocol)).dump(content)
    return file.getvalue()


class _Numpy1(pickle._Pickler):
    """Names numpy's modules as numpy 1 did."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", "") or ""
        if not module.startswith("numpy._core"):
            return super().save_global(obj, name)
        name = name or obj.__qualname__
        module = module.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)
        return None

    for _kind in (types.FunctionType, types.BuiltinFunctionType):
        dispatch[_kind] = save_global


class Python2:
    """Writes protocol 2 as Python 2 did: bytes and texts alike are strings of bytes."""

    def __init__(self) -> None:
        self.parts = [b"\x80\x02"]

    def pickle(self, content: Any) -> bytes:
        """The whole file."""
        self.add(content)
        return b"".join([*self.parts, b"."])

    def add(self, content: Any) -> None:
        """Add what builds a value."""
        if isinstance(content, str | bytes):
            raw = content.encode("utf-8") if isinstance(content, str) else content
            short = len(raw) < 256
            self.parts += [
                b"U" + bytes([len(raw)]) if short else b"T" + struct.pack("<i", len(raw))
            ]
            self.parts += [raw]
        elif isinstance(content, int):
            self.parts += [b"J" + struct.pack("<i", content)]
        elif isinstance(content, set):
            self.parts += [b"c__builtin__\nset\n"]
            self.add([*content])
            self.parts += [b"\x85R"]
        elif isinstance(content, np.ndarray):
            self.array(content)
        elif isinstance(content, dict):
            self.parts += [b"}("]
            for pair in content.items():
                self.add(pair[0])
                self.add(pair[1])
            self.parts += [b"u"]
        else:
            before, behind = (b"](", b"e") if isinstance(content, list) else (b"(", b"t")
            self.parts += [before]
            for item in content:
                self.add(item)
            self.parts += [behind]

    def array(self, content: np.ndarray) -> None:
        """Add what builds an array."""
        self.parts += [b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"]
        self.parts += [b"K\x00\x85U\x01b\x87R(K\x01"]
        self.add(content.shape)
        self.parts += [b"cnumpy\ndtype\n"]
        self.add(content.dtype.str[1:])
        self.parts += [b"K\x00K\x01\x87R(K\x03"]
        self.add(content.dtype.str[0])
        self.parts += [b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"]
        self.add(content.tobytes())
        self.parts += [b"tb"]


def write_mertools(folder: Path, skeleton: Skeleton, name: Callable[[Any, Any], str]) -> None:
    """A folder of each modality, and the labels as objects in an npz."""
    labels = {}
    for modality, width in (("text", 4), ("audio", 3)):
        home = folder / f"{modality}-UTT"
        home.mkdir(parents=True)
        for number, (key, ids) in enumerate(skeleton.ids.items()):
            for place, given in enumerate(ids):
                np.save(home / f"{name(key, given)}.npy", np.full((1, width), number + place, "f4"))
                labels[name(key, given)] = {"emo": skeleton.emotion[key][place], "val": -10}
    np.savez(folder / "label-6way.npz", whole_corpus=np.array(labels, object))


def write_json_lists(folder: Path, dialogues: Mapping[str, Sequence[Any]]) -> None:
    """DAG-ERC's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, listed in dialogues.items():
        (folder / f"{split}_data_roberta.json.feature").write_text(json.dumps(listed))


def counted(skeleton: Skeleton) -> Counter[int]:
    """Turns by class number."""
    return Counter(label for labels in skeleton.emotion.values() for label in labels)
