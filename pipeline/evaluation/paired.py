"""Differences between two models on the same test utterances, with intervals by dialogue.

Turns of a dialogue are not independent of each other: who resamples utterances gets intervals that
are too narrow. So whole dialogues are drawn, and both models are scored on the same draw. F1 needs
no more than confusion counts, and those of a draw are sums of the dialogues' own; all draws
together are therefore one matrix product, [resample, dialogue] @ [dialogue, ...].
"""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
SEED = 20_000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Difference:
    """Weighted F1 of one model less that of another, in percentage points.

    Attributes:
        value: On the test split as it is.
        low: Lower end of the 95 % interval.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


def confusions(
    actual: np.ndarray, predicted: np.ndarray, dialogues: np.ndarray, classes: int
) -> np.ndarray:
    """Confusion counts of each dialogue.

    Args:
        actual: [utterance] class numbers.
        predicted: [seed, utterance] class numbers.
        dialogues: [utterance] dialogue numbers from 0, none left out.
        classes: How many classes there are.

    Returns:
        [seed, dialogue, actual, predicted] float64, in which such counts are exact.
    """
    seeds, shape = len(predicted), (dialogues.max() + 1, classes, classes)
    cells = np.ravel_multi_index(
        (
            np.broadcast_to(dialogues, predicted.shape),
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
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    named = confusion.sum(-1) + confusion.sum(-2)  # occurrences and predictions of the class
    found: np.ndarray = np.divide(2 * right, named, out=np.zeros_like(right), where=named > 0)
    return found


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


def resampled(dialogues: int, number: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """How often each dialogue is drawn, with replacement, in each resample.

    Returns:
        [resample, dialogue] float64; each row sums to the number of dialogues.
    """
    shares = np.full(dialogues, 1 / dialogues)
    return np.random.default_rng(seed).multinomial(dialogues, shares, number).astype(np.float64)


def difference(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> Difference:
    """Compares two models by weighted F1, each averaged over its seeds.

    Args:
        one: [seed, dialogue, actual, predicted] counts.
        other: The same of the other model, with as many seeds as it has.
        weights: [resample, dialogue], see `resampled`.

    Returns:
        `one` less `other`: on all dialogues once, and the percentile interval over resamples.
    """
    once = np.ones((1, weights.shape[1]))
    (value,) = _mean_score(one, once) - _mean_score(other, once)
    drawn = _mean_score(one, weights) - _mean_score(other, weights)
    low, high = np.percentile(drawn, INTERVAL)
    return Difference(100 * float(value), 100 * float(low), 100 * float(high))


def _mean_score(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted F1, averaged over seeds, in each resample: [resample]."""
    scores = [weighted_f1(np.tensordot(weights, seed, axes=1)) for seed in counts]
    mean: np.ndarray = np.mean(scores, axis=0)
    return mean
