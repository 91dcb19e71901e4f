"""The protocol table: labels, folds and splits, one row per fold and utterance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.base.tables import read_table, write_table

VERSION = "protocol/1"
SPLITS = ("train", "valid", "test")
SCHEMA = pa.schema(
    [
        pa.field("fold", pa.int32(), nullable=False),
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in ("split", "dialogue", "utterance", "speaker")
        ),
        pa.field("label", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Entry:
    """An utterance's part in one fold.

    Attributes:
        fold: From 0; corpora with an official split have one fold.
        split: `train`, `valid` or `test`.
        dialogue: Entries of a dialogue stand together, in the order of its turns.
        utterance: Key into the feature stores.
        speaker: Who speaks.
        label: Class number, None for unlabelled context.
    """

    fold: int
    split: str
    dialogue: str
    utterance: str
    speaker: str
    label: int | None


@dataclass(frozen=True)
class Protocol:
    """The entries of all folds and the names of the classes."""

    classes: tuple[str, ...]
    entries: list[Entry]

    @property
    def folds(self) -> list[int]:
        """Fold numbers in order."""
        return sorted({entry.fold for entry in self.entries})


def write_protocol(path: Path, protocol: Protocol) -> None:
    """Writes the protocol as Parquet."""
    table = pa.Table.from_pylist([asdict(entry) for entry in protocol.entries], SCHEMA)
    write_table(path, table, VERSION, {"classes": list(protocol.classes)})


def read_protocol(path: Path, labels_of: Sequence[str] = SPLITS) -> Protocol:
    """Reads a protocol.

    Args:
        path: Where it lies.
        labels_of: Splits whose labels are wanted; others read as unlabelled. Training leaves
            `test` out, so that no test label can reach it.

    Raises:
        PipelineError: The file is absent or of another version.
    """
    table, about = read_table(path, SCHEMA, VERSION)
    rows = table.to_pylist()
    for row in rows:
        if row["split"] not in labels_of:
            row["label"] = None
    return Protocol(tuple(about["classes"]), [Entry(**row) for row in rows])


def counts(protocol: Protocol, fold: int = 0) -> dict[str, dict[str, int]]:
    """Labelled utterances of a fold by split and class."""
    found = Counter((e.split, e.label) for e in protocol.entries if e.fold == fold)
    return {
        split: {name: found[split, number] for number, name in enumerate(protocol.classes)}
        for split in SPLITS
    }
