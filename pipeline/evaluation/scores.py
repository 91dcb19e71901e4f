"""Scores of predictions, in percent, and their calibration.

Reported figures come from scikit-learn. The bootstrap needs the same figures for thousands of
resamples and computes them from confusion counts; a test checks that the two agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, recall_score

Score = Callable[[np.ndarray], np.ndarray]


def confusions(
    actual: np.ndarray, predicted: np.ndarray, clusters: np.ndarray, classes: int
) -> np.ndarray:
    """Count the confusions of each dialogue.

    Args:
        actual: [utterance] class numbers.
        predicted: [seed, utterance] class numbers.
        clusters: [utterance] dialogue numbers from 0 without gaps.
        classes: Number of classes.

    Returns:
        [seed, dialogue, actual, predicted] as float64, exact for such counts.
    """
    seeds, shape = len(predicted), (clusters.max() + 1, classes, classes)
    cells = np.ravel_multi_index(
        (
            np.broadcast_to(clusters, predicted.shape),
            np.broadcast_to(actual, predicted.shape),
            predicted,
        ),
        shape,
    )
    size = int(np.prod(shape))
    counts = [np.bincount(cells[seed], minlength=size) for seed in range(seeds)]
    return np.stack(counts).reshape(seeds, *shape).astype(np.float64)


def f1(confusion: np.ndarray) -> np.ndarray:
    """F1 by class, 0 for a class without counts: [..., actual, predicted] to [..., class]."""
    return _share(2 * _right(confusion), confusion.sum(-1) + confusion.sum(-2))


def weighted_f1(confusion: np.ndarray) -> np.ndarray:
    """F1 averaged over classes by support: [..., actual, predicted] counts to [...]."""
    support = confusion.sum(-1)
    weighted: np.ndarray = (f1(confusion) * support).sum(-1) / support.sum(-1)
    return weighted


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Unweighted mean of F1 over classes: [..., actual, predicted] counts to [...]."""
    average: np.ndarray = f1(confusion).mean(-1)
    return average


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of correct predictions: [..., actual, predicted] counts to [...]."""
    share: np.ndarray = _right(confusion).sum(-1) / confusion.sum((-2, -1))
    return share


def uar(confusion: np.ndarray) -> np.ndarray:
    """Unweighted mean of recall over the classes that occur: [..., actual, predicted] to [...]."""
    support = confusion.sum(-1)
    recall = _share(_right(confusion), support)
    average: np.ndarray = recall.sum(-1) / (support > 0).sum(-1)
    return average


# The overall figures by their reported names; each maps confusion counts to a share from 0 to 1.
OVERALL: dict[str, Score] = {
    "weighted_f1": weighted_f1,
    "macro_f1": macro_f1,
    "accuracy": accuracy,
    "uar": uar,
}


def _right(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Quotient, 0 where `whole` is 0."""
    quotient: np.ndarray = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return quotient


@dataclass(frozen=True)
class Scores:
    """The field's usual scores, in percent.

    Attributes:
        weighted_f1: Mean of the classes' F1, weighted by support.
        macro_f1: Unweighted mean of the classes' F1.
        accuracy: Share of correct predictions.
        uar: Unweighted average recall, over the classes that occur.
        precision: By class; 0 for a class that is never predicted.
        recall: By class; 0 for a class that does not occur.
        f1: By class.
        support: Number of utterances by class.
    """

    weighted_f1: float
    macro_f1: float
    accuracy: float
    uar: float
    precision: dict[str, float]
    recall: dict[str, float]
    f1: dict[str, float]
    support: dict[str, int]


def score(actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Scores:
    """Score predictions.

    Args:
        actual: [utterance] class numbers.
        predicted: [utterance] class numbers.
        classes: Names by class number.
    """
    numbers = list(range(len(classes)))
    precision, recall, f1, support = precision_recall_fscore_support(
        actual, predicted, labels=numbers, zero_division=0
    )
    macro, weighted = (
        f1_score(actual, predicted, labels=numbers, average=average, zero_division=0)
        for average in ("macro", "weighted")
    )
    occurring = np.unique(actual)
    uar = recall_score(actual, predicted, labels=occurring, average="macro", zero_division=0)
    return Scores(
        weighted_f1=100 * float(weighted),
        macro_f1=100 * float(macro),
        accuracy=100 * float(accuracy_score(actual, predicted)),
        uar=100 * float(uar),
        precision=_named(classes, 100 * precision),
        recall=_named(classes, 100 * recall),
        f1=_named(classes, 100 * f1),
        support={name: int(number) for name, number in zip(classes, support, strict=True)},
    )


def mean(values: Sequence[float]) -> float:
    """Mean over runs, rounded as in every results file."""
    return round(float(np.mean(values)), 2)


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation over runs, rounded as in every results file."""
    return round(float(np.std(values, ddof=1)), 2)


def _named(classes: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(classes, values, strict=True)}


BINS = 10


def reliability(actual: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Bin predictions by confidence and compute the accuracy of each bin.

    Args:
        actual: [utterance] class numbers.
        probabilities: [seed, utterance, class]; the seeds are pooled.

    Returns:
        A row for each non-empty one of `BINS` bins of equal width: low and high end, mean
        confidence, accuracy (all from 0 to 1) and utterances (mean over seeds).
    """
    confidence, right = _confidence(actual, probabilities)
    rows = pd.DataFrame({"confidence": confidence.ravel(), "accuracy": right.ravel()})
    bins = np.minimum((rows["confidence"] * BINS).astype(int), BINS - 1)
    means = rows.groupby(bins).mean()
    counts = rows.groupby(bins).size() / len(probabilities)
    ends = pd.DataFrame({"low": means.index / BINS, "high": (means.index + 1) / BINS})
    return pd.concat(
        [ends, means.reset_index(drop=True), counts.reset_index(drop=True).rename("utterances")],
        axis=1,
    ).round(4)


def ece(actual: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error of one run (Guo et al., 2017, eq. 5), from 0 to 1.

    The mean over bins of |accuracy - confidence|, weighted by their utterances.

    Args:
        actual: [utterance] class numbers.
        probabilities: [utterance, class].
    """
    confidence, right = _confidence(actual, probabilities)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(actual))


def _confidence(actual: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the likeliest class, and 1.0 if it is correct, else 0.0: both [...]."""
    right = probabilities.argmax(-1) == actual
    return probabilities.max(-1).astype(np.float64), right.astype(np.float64)
