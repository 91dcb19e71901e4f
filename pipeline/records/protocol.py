"""The protocol table: labels, folds and splits, one row per fold and utterance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.tables import Provenance, read_rows, refused, schema_of, table_of, write_table

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
        PipelineError: The file is missing, of another version, or breaks a rule.
    """
    entries, provenance = read_rows(path, Entry, VERSION)
    classes = class_names(path, provenance)
    times = Counter((e.fold, e.utterance) for e in entries)
    for entry in entries:
        if entry.split not in SPLITS:
            raise refused(path, f"{entry.utterance} is in the split {entry.split!r}")
        if entry.label is not None and not 0 <= entry.label < len(classes):
            raise refused(path, f"{entry.utterance} has the label {entry.label} of {len(classes)}")
        if times[entry.fold, entry.utterance] > 1:
            raise refused(path, f"{entry.utterance} stands in fold {entry.fold} twice")
    shown = [e if e.split in labels_of else replace(e, label=None) for e in entries]
    return Protocol(classes, shown)


def class_names(path: Path, provenance: Provenance) -> tuple[str, ...]:
    """The names of the classes in a table's provenance.

    Raises:
        PipelineError: There are none, or one stands twice.
    """
    names = provenance.get("classes")
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise refused(path, f"its classes are {names!r}, expected a list of different names")
    return tuple(names)


def counts(protocol: Protocol, fold: int = 0) -> dict[str, dict[str, int]]:
    """Counts the labelled utterances of a fold by split and class."""
    numbers = Counter((e.split, e.label) for e in protocol.entries if e.fold == fold)
    return {
        split: {name: numbers[split, label] for label, name in enumerate(protocol.classes)}
        for split in SPLITS
    }
