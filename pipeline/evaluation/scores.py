"""Scores of predictions, in percent, and their calibration.

Reported figures come from scikit-learn. A bootstrap needs the same figures of thousands of
resamples, which confusion counts give at once: a test holds that both agree.
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
    """Confusion counts of each dialogue.

    Args:
        actual: [utterance] class numbers.
        predicted: [seed, utterance] class numbers.
        clusters: [utterance] dialogue numbers from 0, none left out.
        classes: How many classes there are.

    Returns:
        [seed, dialogue, actual, predicted] float64, in which such counts are exact.
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
    counted = [np.bincount(cells[seed], minlength=size) for seed in range(seeds)]
    return np.stack(counted).reshape(seeds, *shape).astype(np.float64)


def f1(confusion: np.ndarray) -> np.ndarray:
    """F1 by class, 0 for a class that neither occurs nor is predicted.

    Args:
        confusion: [..., actual, predicted] counts.

    Returns:
        [..., class], from 0 to 1.
    """
    return _share(2 * _right(confusion), confusion.sum(-1) + confusion.sum(-2))


def weighted_f1(confusion: np.ndarray) -> np.ndarray:
    """F1 averaged over classes by their number of utterances.

    Args:
        confusion: [..., actual, predicted] counts.

    Returns:
        [...], from 0 to 1.
    """
    support = confusion.sum(-1)
    weighted: np.ndarray = (f1(confusion) * support).sum(-1) / support.sum(-1)
    return weighted


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """F1 averaged over classes, all alike.

    Args:
        confusion: [..., actual, predicted] counts.

    Returns:
        [...], from 0 to 1.
    """
    plain: np.ndarray = f1(confusion).mean(-1)
    return plain


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of right predictions.

    Args:
        confusion: [..., actual, predicted] counts.

    Returns:
        [...], from 0 to 1.
    """
    share: np.ndarray = _right(confusion).sum(-1) / confusion.sum((-2, -1))
    return share


def uar(confusion: np.ndarray) -> np.ndarray:
    """Unweighted average recall: recall averaged over the classes that occur, all alike.

    Args:
        confusion: [..., actual, predicted] counts.

    Returns:
        [...], from 0 to 1.
    """
    support = confusion.sum(-1)
    recall = _share(_right(confusion), support)
    average: np.ndarray = recall.sum(-1) / (support > 0).sum(-1)
    return average


# The overall figures, by the names under which they are reported.
OVERALL: dict[str, Score] = {
    "weighted_f1": weighted_f1,
    "macro_f1": macro_f1,
    "accuracy": accuracy,
    "uar": uar,
}


def _right(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The quotient, 0 where there is nothing to divide by."""
    found: np.ndarray = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return found


@dataclass(frozen=True)
class Scores:
    """The field's figures.

    Attributes:
        weighted_f1: Mean of the classes' F1, weighted by their number of utterances.
        macro_f1: Plain mean of the classes' F1.
        accuracy: Share of right predictions.
        uar: Unweighted average recall: plain mean of the recall of the classes that occur.
        precision: By class; 0 for one that is never predicted.
        recall: By class; 0 for one that does not occur.
        f1: By class.
        support: Utterances by class.
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
    """Scores predictions.

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
    """Over runs, rounded as in every file of results."""
    return round(float(np.mean(values)), 2)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation over runs, rounded likewise."""
    return round(float(np.std(values, ddof=1)), 2)


def _named(classes: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(classes, values, strict=True)}


BINS = 10


def reliability(actual: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """How often the likeliest class is right, by its probability.

    Args:
        actual: [utterance] class numbers.
        probabilities: [seed, utterance, class]; the seeds are pooled.

    Returns:
        A row for each of `BINS` bins of equal width that holds a prediction: low and high end,
        mean confidence, accuracy (all from 0 to 1) and utterances (mean over seeds).
    """
    confidence, right = _confidence(actual, probabilities)
    rows = pd.DataFrame({"confidence": confidence.ravel(), "accuracy": right.ravel()})
    bins = np.minimum((rows["confidence"] * BINS).astype(int), BINS - 1)
    found = rows.groupby(bins).mean()
    counts = rows.groupby(bins).size() / len(probabilities)
    ends = pd.DataFrame({"low": found.index / BINS, "high": (found.index + 1) / BINS})
    return pd.concat(
        [ends, found.reset_index(drop=True), counts.reset_index(drop=True).rename("utterances")],
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
    """[...] probability of the likeliest class, and whether it is the right one, 0.0 or 1.0."""
    right = probabilities.argmax(-1) == actual
    return probabilities.max(-1).astype(np.float64), right.astype(np.float64)
