"""95 % intervals by dialogue, of a score and of a paired difference; McNemar's test.

Turns of a dialogue are not independent: resampling utterances gives intervals that are too narrow.
So whole dialogues are drawn with replacement (a cluster bootstrap). The confusion counts of a
resample are sums over its dialogues, so all resamples together are one matrix product,
[resample, dialogue] @ [dialogue, actual, predicted].
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from pipeline.evaluation.scores import Score, confusions, weighted_f1

FEW = 50  # dialogues; with this many, coverage is close to nominal
RESAMPLES = 2000
SEED = 20_000
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A figure on the test split with its 95 % interval, in percent or percentage points."""

    value: float
    low: float
    high: float


def caution(dialogues: int) -> str:
    """A warning about intervals over few dialogues; "" if there are enough.

    The coverage was simulated by tests/evaluation/test_coverage.py, 600 trials each.
    """
    if dialogues >= FEW:
        return ""
    return (
        f"With only {dialogues} dialogues, these intervals are too short. In a simulation, 95 % "
        "intervals over 4 dialogues covered the true value in 80 % of cases, over 10 in 88 %, over "
        "20 in 91 %, over 50 in 94 %."
    )


def resample_weights(dialogues: int, number: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Draw dialogues with replacement, and count how often each is in each resample.

    Returns:
        [resample, dialogue] float64; each row sums to the number of dialogues.
    """
    shares = np.full(dialogues, 1 / dialogues)
    return np.random.default_rng(seed).multinomial(dialogues, shares, number).astype(np.float64)


def resample_counts(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum the confusion counts of each resample's dialogues.

    Args:
        counts: [seed, dialogue, actual, predicted].
        weights: [resample, dialogue], see `resample_weights`.

    Returns:
        [seed, resample, actual, predicted].
    """
    return np.stack([np.tensordot(weights, seed, axes=1) for seed in counts])


@dataclass(frozen=True)
class Resampled:
    """A model's confusion counts, on the test split itself and on each resample of its dialogues.

    Attributes:
        whole: [seed, actual, predicted].
        draws: [seed, resample, actual, predicted].
    """

    whole: np.ndarray
    draws: np.ndarray

    def interval(self, score: Score) -> Interval:
        """Mean of a score over seeds, with the percentile interval of that mean."""
        return percentile_interval(score(self.whole).mean(0), score(self.draws).mean(0))

    def by_class(self, score: Score) -> list[Interval]:
        """Mean and interval by class, of a score that gives [..., class]."""
        values, draws = score(self.whole).mean(0), score(self.draws).mean(0)
        return [percentile_interval(v, draws[:, number]) for number, v in enumerate(values)]


def resample(
    actual: np.ndarray,
    predicted: np.ndarray,
    clusters: np.ndarray,
    classes: int,
    weights: np.ndarray | None = None,
) -> Resampled:
    """Count a model's confusions on the test split and on resamples of its dialogues.

    Args:
        actual: [utterance] class numbers.
        predicted: [seed, utterance] class numbers.
        clusters: [utterance] dialogue numbers from 0 without gaps.
        classes: Number of classes.
        weights: [resample, dialogue]; None for `resample_weights` with its defaults.
    """
    counts = confusions(actual, predicted, clusters, classes)
    if weights is None:
        weights = resample_weights(counts.shape[1])
    return Resampled(counts.sum(1), resample_counts(counts, weights))


def percentile_interval(value: np.ndarray, resamples: np.ndarray) -> Interval:
    """Turn a figure [] and its resamples [resample], all from 0 to 1, into percent."""
    low, high = np.nanpercentile(resamples, PERCENTILES)
    return Interval(100 * float(value), 100 * float(low), 100 * float(high))


@dataclass(frozen=True)
class Difference(Interval):
    """A score of one model minus that of another, in percentage points."""

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
    """McNemar's test on the utterances that only one of two models gets right.

    Attributes:
        one: Number of utterances that only the first gets right.
        other: Number of utterances that only the second gets right.
        p: Two-sided, exact (binomial). It treats the turns of a dialogue as independent, so it may
            be small although the interval by dialogue includes 0.
    """

    one: int
    other: int
    p: float


def difference(
    one: np.ndarray, other: np.ndarray, weights: np.ndarray, score: Score = weighted_f1
) -> Difference:
    """Compare two models by a score averaged over each one's seeds, on the same resamples.

    Args:
        one: Counts of the first, [seed, dialogue, actual, predicted].
        other: Counts of the second; its number of seeds may differ.
        weights: [resample, dialogue], see `resample_weights`.
        score: Maps counts to a figure.

    Returns:
        `one` minus `other` on the test split, and the percentile interval over resamples.
    """
    value = score(one.sum(1)).mean(0) - score(other.sum(1)).mean(0)
    first, second = (score(resample_counts(counts, weights)).mean(0) for counts in (one, other))
    interval = percentile_interval(value, first - second)
    return Difference(interval.value, interval.low, interval.high)


def mcnemar(actual: np.ndarray, one: np.ndarray, other: np.ndarray) -> McNemar:
    """Compare two models by the utterances they get right (McNemar, 1947; exact form).

    Args:
        actual: [utterance] class numbers.
        one: [utterance] predictions.
        other: [utterance] predictions.
    """
    first, second = one == actual, other == actual
    only_one, only_other = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_one + only_other
    p = float(binomtest(only_one, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(only_one, only_other, p)
