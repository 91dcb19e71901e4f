"""Scores of confusion counts, for many counts at once.

The figures that are reported come from scikit-learn (`scores.py`). A bootstrap needs the same
figures of thousands of resamples, and they need no more than confusion counts: a test holds that
both agree.
"""

from collections.abc import Callable

import numpy as np

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
