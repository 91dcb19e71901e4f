"""What fine-tuning tells of itself: figures on validation, in percent, and never on test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score


def figures(actual: Sequence[int], probabilities: np.ndarray, classes: Sequence[str]) -> Any:
    """Weighted F1, macro F1, accuracy and F1 by class.

    Args:
        actual: [utterance] class numbers.
        probabilities: [utterance, class].
        classes: Names by class number.
    """
    predicted, numbers = probabilities.argmax(1), range(len(classes))

    def f1(average: str | None) -> Any:
        return 100 * f1_score(actual, predicted, labels=numbers, average=average, zero_division=0)

    return {
        "weighted_f1": round(f1("weighted"), 2),
        "macro_f1": round(f1("macro"), 2),
        "accuracy": round(100 * accuracy_score(actual, predicted), 2),
        "f1": {name: round(value, 2) for name, value in zip(classes, f1(None), strict=True)},
    }
