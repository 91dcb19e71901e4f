"""The labelled utterances of a fold, as a classifier without context takes them."""

from dataclasses import dataclass

import numpy as np

from pipeline.records.protocol import SPLITS, Protocol


@dataclass(frozen=True)
class Labelled:
    """Labelled utterances of one fold.

    Attributes:
        classes: How many classes there are.
        utterances: Ids by split, in protocol order.
        labels: [utterance] class numbers by split.
    """

    classes: int
    utterances: dict[str, list[str]]
    labels: dict[str, np.ndarray]


def labelled(protocol: Protocol, fold: int) -> Labelled:
    """The labelled utterances of a fold."""
    utterances: dict[str, list[str]] = {split: [] for split in SPLITS}
    labels: dict[str, list[int]] = {split: [] for split in SPLITS}
    for entry in protocol.entries:
        if entry.fold == fold and entry.label is not None:
            utterances[entry.split].append(entry.utterance)
            labels[entry.split].append(entry.label)
    return Labelled(
        classes=len(protocol.classes),
        utterances=utterances,
        labels={split: np.array(values) for split, values in labels.items()},
    )
