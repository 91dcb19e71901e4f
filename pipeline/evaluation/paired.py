"""Differences between two models on the same test utterances."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from pipeline.evaluation.counts import Score, weighted_f1
from pipeline.evaluation.intervals import Interval, drawn, spread


@dataclass(frozen=True)
class Difference(Interval):
    """A score of one model less that of another, in percentage points."""

    @property
    def clear(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0

    @property
    def word(self) -> str:
        """Whether the first model is better or worse, or `not clear`."""
        if not self.clear:
            return "not clear"
        return "better" if self.low > 0 else "worse"

    def __str__(self) -> str:
        """The difference with its interval."""
        return f"{self.value:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


@dataclass(frozen=True)
class McNemar:
    """McNemar's test: of the utterances that only one of two models gets right, whose are they?

    Attributes:
        one: Utterances that only the first gets right.
        other: Utterances that only the second gets right.
        p: Two-sided, exact (binomial); turns of a dialogue are taken for independent, so it is
            more easily small than the interval by dialogue is clear of 0.
    """

    one: int
    other: int
    p: float


def difference(
    one: np.ndarray, other: np.ndarray, weights: np.ndarray, score: Score = weighted_f1
) -> Difference:
    """Compares two models by a score, each averaged over its seeds, on the same resamples.

    Args:
        one: [seed, dialogue, actual, predicted] counts.
        other: The same of the other model, with as many seeds as it has.
        weights: [resample, dialogue], see `resampled`.
        score: From counts to a figure.

    Returns:
        `one` less `other`: on all dialogues once, and the percentile interval over resamples.
    """
    value = score(one.sum(1)).mean(0) - score(other.sum(1)).mean(0)
    draws = score(drawn(one, weights)).mean(0) - score(drawn(other, weights)).mean(0)
    found = spread(value, draws)
    return Difference(found.value, found.low, found.high)


def mcnemar(actual: np.ndarray, one: np.ndarray, other: np.ndarray) -> McNemar:
    """Compares two models by which utterances they get right (McNemar, 1947; exact form).

    Args:
        actual: [utterance] class numbers.
        one: [utterance] predictions.
        other: [utterance] predictions.
    """
    first, second = one == actual, other == actual
    only_one, only_other = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_one + only_other
    p = float(binomtest(only_one, apart, 0.5).pvalue) if apart else 1.0
    return McNemar(only_one, only_other, p)
