"""What a model says of the test utterances to weighted F1, with intervals by dialogue."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.baselines import labelled, majority
from pipeline.evaluation.paired import (
    INTERVAL,
    Difference,
    confusions,
    difference,
    resampled,
    weighted_f1,
)
from pipeline.evaluation.predictions import Tested
from pipeline.protocol import Protocol


@dataclass(frozen=True)
class Score:
    """Weighted F1 on test, averaged over seeds, in percent.

    Attributes:
        value: On the test split as it is.
        std: Sample standard deviation over seeds; None where there is one.
        low: Lower end of the 95 % interval by dialogue.
        high: Its upper end.
    """

    value: float
    std: float | None
    low: float
    high: float


def tested_in(protocol: Protocol) -> Tested:
    """The labelled test utterances in protocol order, the folds one after another."""
    entries = [
        (entry, entry.label)
        for fold in protocol.folds
        for entry in protocol.entries
        if entry.fold == fold and entry.split == "test" and entry.label is not None
    ]
    return Tested(
        classes=protocol.classes,
        utterances=tuple(entry.utterance for entry, _ in entries),
        dialogues=tuple(entry.dialogue for entry, _ in entries),
        folds=np.array([entry.fold for entry, _ in entries]),
        actual=np.array([label for _, label in entries]),
    )


def majority_in(protocol: Protocol) -> np.ndarray:
    """The most frequent class of the train split, for each test utterance of its fold.

    Args:
        protocol: With all labels.

    Returns:
        [1, utterance] class numbers, in the order of `tested_in`.
    """
    folds = [majority(labelled(protocol.entries, fold)) for fold in protocol.folds]
    return np.concatenate(folds)[None]


class Scorer:
    """Scores predictions of the same test utterances, all on the same resamples.

    Args:
        tested: What they are scored against.
    """

    def __init__(self, tested: Tested) -> None:
        self.tested = tested
        self._weights = resampled(tested.clusters.max() + 1)

    def score(self, predicted: np.ndarray) -> Score:
        """The weighted F1 of [seed, utterance] class numbers."""
        counts = self._counts(predicted)
        each = 100 * weighted_f1(counts.sum(1))
        draws = [weighted_f1(np.tensordot(self._weights, seed, axes=1)) for seed in counts]
        low, high = np.percentile(100 * np.mean(draws, axis=0), INTERVAL)
        std = float(each.std(ddof=1)) if len(each) > 1 else None
        return Score(float(each.mean()), std, float(low), float(high))

    def difference(self, predicted: np.ndarray, clean: np.ndarray) -> Difference:
        """The weighted F1 of some predictions less that of others, both [seed, utterance]."""
        return difference(self._counts(predicted), self._counts(clean), self._weights)

    def _counts(self, predicted: np.ndarray) -> np.ndarray:
        tested = self.tested
        classes = len(tested.classes)
        return confusions(tested.actual, predicted, tested.clusters, classes)
