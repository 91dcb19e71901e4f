"""The protocol table: labels, folds and splits, one row per fold and utterance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.tables import read_rows, schema_of, table_of, write_table

VERSION = "protocol/1"
SPLITS = ("train", "valid", "test")
LEARNT = ("train", "valid")  # the splits whose labels training may see


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


SCHEMA = schema_of(Entry)


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
    table = table_of(protocol.entries, SCHEMA, VERSION)
    write_table(path, table, VERSION, {"classes": list(protocol.classes)})


def read_protocol(path: Path, labels_of: Sequence[str] = SPLITS) -> Protocol:
    """Reads a protocol.

    Args:
        path: Where it lies.
        labels_of: Splits whose labels are wanted; others read as unlabelled. Training leaves
            `test` out, so that no test label can reach it.

    Raises:
        PipelineError: The file is missing or of another version.
    """
    entries, provenance = read_rows(path, Entry, VERSION)
    shown = [e if e.split in labels_of else replace(e, label=None) for e in entries]
    return Protocol(tuple(provenance["classes"]), shown)


def counts(protocol: Protocol, fold: int = 0) -> dict[str, dict[str, int]]:
    """Counts the labelled utterances of a fold by split and class."""
    numbers = Counter((e.split, e.label) for e in protocol.entries if e.fold == fold)
    return {
        split: {name: numbers[split, label] for label, name in enumerate(protocol.classes)}
        for split in SPLITS
    }
