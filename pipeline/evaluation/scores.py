"""Scores of one set of predictions, in percent, by scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, recall_score


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
