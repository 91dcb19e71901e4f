"""95 % intervals by dialogue, of a score and of a paired difference; McNemar's test.

Turns of a dialogue are not independent of each other: resampling utterances gives intervals that
are too narrow. So whole dialogues are drawn, with replacement, as many as there are. Counts of a
draw are sums of the dialogues' own, so all draws together are one matrix product,
[resample, dialogue] @ [dialogue, actual, predicted].
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from pipeline.evaluation.scores import Score, confusions, weighted_f1

FEW = 50  # dialogues; from there on intervals hold the truth about as often as they say
RESAMPLES = 2000
SEED = 20_000
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval, in percent or percentage points.

    Attributes:
        value: On the test split as it is.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def caution(dialogues: int) -> str:
    """What to think of intervals over so few dialogues, in words; "" where there are enough.

    The shares were found by tests/evaluation/test_coverage.py's simulation, 600 trials each.
    """
    if dialogues >= FEW:
        return ""
    return (
        f"{dialogues} dialogues are few: such intervals are too short. In a simulation those of 4 "
        "dialogues held the truth in 80 % of cases, of 10 in 88 %, of 20 in 91 %, of 50 in 94 %."
    )


def resampled(dialogues: int, number: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """How often each dialogue is drawn, with replacement, in each resample.

    Returns:
        [resample, dialogue] float64; each row sums to the number of dialogues.
    """
    shares = np.full(dialogues, 1 / dialogues)
    return np.random.default_rng(seed).multinomial(dialogues, shares, number).astype(np.float64)


def drawn(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Counts of each resample.

    Args:
        counts: [seed, dialogue, actual, predicted].
        weights: [resample, dialogue], see `resampled`.

    Returns:
        [seed, resample, actual, predicted].
    """
    return np.stack([np.tensordot(weights, seed, axes=1) for seed in counts])


@dataclass(frozen=True)
class Resampled:
    """A model's counts, on the test split as it is and on each resample of its dialogues.

    Attributes:
        whole: [seed, actual, predicted].
        draws: [seed, resample, actual, predicted].
    """

    whole: np.ndarray
    draws: np.ndarray

    def interval(self, score: Score) -> Interval:
        """A score averaged over seeds, and the percentile interval of that average."""
        return spread(score(self.whole).mean(0), score(self.draws).mean(0))

    def by_class(self, score: Score) -> list[Interval]:
        """The same of a score that gives [..., class]."""
        values, draws = score(self.whole).mean(0), score(self.draws).mean(0)
        return [spread(value, draws[:, number]) for number, value in enumerate(values)]


def resample(
    actual: np.ndarray,
    predicted: np.ndarray,
    clusters: np.ndarray,
    classes: int,
    weights: np.ndarray | None = None,
) -> Resampled:
    """Counts what a model says, and draws resamples of it.

    Args:
        actual: [utterance] class numbers.
        predicted: [seed, utterance] class numbers.
        clusters: [utterance] dialogue numbers from 0, none left out.
        classes: How many classes there are.
        weights: [resample, dialogue]; the usual ones if None.
    """
    counts = confusions(actual, predicted, clusters, classes)
    if weights is None:
        weights = resampled(counts.shape[1])
    return Resampled(counts.sum(1), drawn(counts, weights))


def spread(value: np.ndarray, resamples: np.ndarray) -> Interval:
    """A figure and the percentiles of its resamples, both from 0 to 1, in percent.

    Args:
        value: [] on the test split.
        resamples: [resample].
    """
    low, high = np.percentile(resamples, PERCENTILES)
    return Interval(100 * float(value), 100 * float(low), 100 * float(high))


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
