"""What a model says of the test utterances to weighted F1, with intervals by dialogue."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.baselines import majority
from pipeline.evaluation.intervals import Difference, difference, resample, resampled
from pipeline.evaluation.labelled import labelled
from pipeline.evaluation.scores import confusions, weighted_f1
from pipeline.records.predictions import TestSet
from pipeline.records.protocol import Protocol


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


def majority_in(protocol: Protocol) -> np.ndarray:
    """The most frequent class of the train split, for each test utterance of its fold.

    Args:
        protocol: With all labels.

    Returns:
        [1, utterance] class numbers, in the order of `TestSet`.
    """
    folds = [majority(labelled(protocol, fold)) for fold in protocol.folds]
    return np.concatenate(folds)[None]


class Scorer:
    """Scores predictions of the same test utterances, all on the same resamples.

    Args:
        test_set: What they are scored against.
    """

    def __init__(self, test_set: TestSet) -> None:
        self.test_set = test_set
        self._clusters, self._classes = test_set.clusters, len(test_set.classes)
        self._weights = resampled(self._clusters.max() + 1)

    def score(self, predicted: np.ndarray) -> Score:
        """The weighted F1 of [seed, utterance] class numbers."""
        draws = resample(
            self.test_set.actual, predicted, self._clusters, self._classes, self._weights
        )
        each, ends = 100 * weighted_f1(draws.whole), draws.interval(weighted_f1)
        std = float(each.std(ddof=1)) if len(each) > 1 else None
        return Score(ends.value, std, ends.low, ends.high)

    def difference(self, predicted: np.ndarray, clean: np.ndarray) -> Difference:
        """The weighted F1 of some predictions less that of others, both [seed, utterance]."""
        return difference(self._counts(predicted), self._counts(clean), self._weights)

    def _counts(self, predicted: np.ndarray) -> np.ndarray:
        return confusions(self.test_set.actual, predicted, self._clusters, self._classes)
