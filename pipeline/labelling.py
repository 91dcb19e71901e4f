"""Manifest to protocol: which label and which split each utterance gets.

Decided apart from the features: changing a label set or a split re-runs this step, training and
evaluation, and decodes nothing.
"""

from collections import Counter
from collections.abc import Sequence

from pipeline.errors import PipelineError
from pipeline.labels import LABEL_SETS
from pipeline.manifest import Utterance
from pipeline.protocol import SPLITS, Entry, Protocol
from pipeline.settings.protocol import ProtocolSettings

OFFICIAL = {"train": "train", "dev": "valid", "test": "test"}


def make_protocol(utterances: Sequence[Utterance], settings: ProtocolSettings) -> Protocol:
    """Applies a label set and splits to a manifest.

    Raises:
        PipelineError: No utterance has a label in the set, an utterance has no official split, or
            a split is empty.
    """
    label_set = LABEL_SETS[settings.label_set]
    entries = []
    for u in utterances:
        label = label_set.index(getattr(u, label_set.column))
        if label is not None or settings.unlabelled == "context":
            split = _official(u)
            entries.append(Entry(0, split, u.dialogue, u.utterance, u.speaker, label))
    _check_splits(entries, settings)
    return Protocol(label_set.classes, entries)


def _official(u: Utterance) -> str:
    if u.official_split not in OFFICIAL:
        raise PipelineError(
            f"{u.utterance} has the official split {u.official_split!r}, expected one of "
            f"{list(OFFICIAL)}; this corpus needs another value of protocol.CORPUS.splits."
        )
    return OFFICIAL[u.official_split]


def _check_splits(entries: Sequence[Entry], settings: ProtocolSettings) -> None:
    counts = Counter(entry.split for entry in entries if entry.label is not None)
    empty = [split for split in SPLITS if not counts[split]]
    if empty:
        raise PipelineError(
            f"No utterance of the splits {empty} has a label of the set "
            f"{settings.label_set!r}; name a label set that this corpus has."
        )
