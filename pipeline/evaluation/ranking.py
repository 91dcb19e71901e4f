"""Systems side by side: rank, chance to be first, and paired difference to a reference.

All systems are scored on the same resamples of whole dialogues, so that what a draw makes easy or
hard is so for each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.intervals import (
    PERCENTILES,
    Difference,
    Interval,
    difference,
    percentile_interval,
    resample_counts,
    resample_weights,
)
from pipeline.evaluation.scores import Score, confusions, f1, macro_f1, weighted_f1
from pipeline.records.predictions import Predictions, TestSet

RARE = 100  # a class with fewer test utterances is rare
DIGITS = 12  # of a score that count in comparing two: equal predictions give equal scores


@dataclass(frozen=True)
class Standing:
    """A system's place among all.

    Attributes:
        system: Its name.
        rank: Place by weighted F1 on the test split, 1 the best; equals share the better one.
        ranks: 95 % interval of the place over resamples.
        first: Share of resamples in which it is first, in percent; equals share a resample.
        scores: `weighted_f1`, `macro_f1` and `rare_f1` with their intervals.
        deviations: Their sample standard deviations over seeds, in percent; NaN for one seed.
        difference: Weighted F1 less that of the reference; None for the reference itself, or where
            there is none.
    """

    system: str
    rank: int
    ranks: tuple[int, int]
    first: float
    scores: Mapping[str, Interval]
    deviations: Mapping[str, float]
    difference: Difference | None


def rare_classes(test_set: TestSet) -> list[int]:
    """Numbers of the classes with fewer than `RARE` test utterances; the rarest if none or all are.

    A class without a test utterance has no F1 to speak of.
    """
    support = np.bincount(test_set.actual, minlength=len(test_set.classes))
    there = [number for number in range(len(support)) if support[number]]
    rare = [number for number in there if support[number] < RARE]
    return rare if 0 < len(rare) < len(there) else [min(there, key=lambda number: support[number])]


def standings(
    predictions: Predictions, reference: str, weights: np.ndarray | None = None
) -> list[Standing]:
    """Rank all systems, best first.

    Args:
        predictions: Of every system for the same test utterances.
        reference: The system that the others are compared with; it may be absent.
        weights: [resample, dialogue]; None for `resample_weights` with its defaults.
    """
    test_set = predictions.test_set
    clusters, rare = test_set.clusters, rare_classes(test_set)
    counts = {
        name: confusions(test_set.actual, of_system.predicted, clusters, len(test_set.classes))
        for name, of_system in predictions.by_system.items()
    }
    if weights is None:
        weights = resample_weights(int(clusters.max()) + 1)
    figures: dict[str, Score] = {
        "weighted_f1": weighted_f1,
        "macro_f1": macro_f1,
        "rare_f1": lambda confusion: _mean_of_occurring(confusion, rare),
    }
    scored = {name: _score(own, weights, figures) for name, own in counts.items()}
    draws = np.array([of_system["weighted_f1"].mean(0) for of_system in scored.values()])
    ranks = _ranks(draws)
    first = ranks[:, 1:] == 1
    shares = 100 * (first / first.sum(0)).mean(1)
    rows = [
        Standing(
            system=name,
            rank=int(ranks[row, 0]),
            ranks=_ends(ranks[row, 1:]),
            first=float(shares[row]),
            scores={
                key: percentile_interval(runs[:, 0].mean(), runs[:, 1:].mean(0))
                for key, runs in scored[name].items()
            },
            deviations={
                key: 100 * float(np.std(runs[:, 0], ddof=1)) if len(runs) > 1 else np.nan
                for key, runs in scored[name].items()
            },
            difference=difference(counts[name], counts[reference], weights)
            if reference in counts and name != reference
            else None,
        )
        for row, name in enumerate(counts)
    ]
    return sorted(rows, key=lambda row: row.rank)


def _mean_of_occurring(confusion: np.ndarray, classes: list[int]) -> np.ndarray:
    """Mean F1 of those of some classes that a draw holds; NaN where it holds none."""
    there = confusion.sum(-1)[..., classes] > 0
    total = (f1(confusion)[..., classes] * there).sum(-1)
    mean: np.ndarray = np.where(there.any(-1), total / np.maximum(there.sum(-1), 1), np.nan)
    return mean


def _score(
    counts: np.ndarray, weights: np.ndarray, figures: Mapping[str, Score]
) -> dict[str, np.ndarray]:
    """Each figure on the test split, and then on each resample: [seed, 1 + resample]."""
    whole = np.ones((1, len(weights[0])))
    drawn = resample_counts(counts, np.concatenate([whole, weights]))
    return {name: figure(drawn) for name, figure in figures.items()}


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Rank in each draw, 1 the best; equals share the better one: [system, draw] to the same."""
    rounded = scores.round(DIGITS)
    ranks: np.ndarray = 1 + (rounded[None] > rounded[:, None]).sum(1)
    return ranks


def _ends(ranks: np.ndarray) -> tuple[int, int]:
    """The percentile interval of ranks [resample], in ranks that occurred."""
    low, high = np.percentile(ranks, PERCENTILES, method="closest_observation")
    return int(low), int(high)
