"""Scores of one set of predictions, in percent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, f1_score


@dataclass(frozen=True)
class Scores:
    """The field's figures.

    Attributes:
        weighted_f1: Mean of the classes' F1, weighted by their number of utterances.
        macro_f1: Plain mean of the classes' F1.
        accuracy: Share of right predictions.
        f1: F1 by class.
    """

    weighted_f1: float
    macro_f1: float
    accuracy: float
    f1: dict[str, float]


def score(actual: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Scores:
    """Scores predictions.

    Args:
        actual: [utterance] class numbers.
        predicted: [utterance] class numbers.
        classes: Names by class number.
    """
    numbers = list(range(len(classes)))
    each, macro, weighted = (
        f1_score(actual, predicted, labels=numbers, average=average, zero_division=0)
        for average in (None, "macro", "weighted")
    )
    return Scores(
        weighted_f1=100 * float(weighted),
        macro_f1=100 * float(macro),
        accuracy=100 * float(accuracy_score(actual, predicted)),
        f1={name: 100 * float(value) for name, value in zip(classes, each, strict=True)},
    )


def summarised(runs: Sequence[Scores]) -> dict[str, object]:
    """Mean over runs, and the sample standard deviation where there are several.

    Returns:
        A mapping as it goes into metrics.json, rounded to two decimals.
    """
    names = ("weighted_f1", "macro_f1", "accuracy")
    summary: dict[str, object] = {n: _mean([getattr(r, n) for r in runs]) for n in names}
    if len(runs) > 1:
        for name in names:
            values = [getattr(run, name) for run in runs]
            summary[f"{name}_std"] = round(float(np.std(values, ddof=1)), 2)
    summary["f1"] = {c: _mean([run.f1[c] for run in runs]) for c in runs[0].f1}
    return summary


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2)
