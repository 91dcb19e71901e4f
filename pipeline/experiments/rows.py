"""Rows of a comparison: figures with intervals, and differences to the first row.

Two rows are paired where both were tested on the very same utterances, labels and classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.evaluation.intervals import (
    Difference,
    Interval,
    Resampled,
    difference,
    resample_counts,
    resample_weights,
)
from pipeline.evaluation.scores import OVERALL, confusions, f1
from pipeline.records.predictions import Predictions, SystemPredictions, TestSet

WEIGHTED = "weighted_f1"


@dataclass(frozen=True)
class Entrant:
    """What is compared: a system's predictions, under a name for readers."""

    name: str
    test_set: TestSet
    predictions: SystemPredictions

    def on(self, test_set: TestSet) -> "Entrant":
        """The same, in the order of another test set of the same utterances."""
        place = {name: number for number, name in enumerate(self.test_set.utterances)}
        order = [place[name] for name in test_set.utterances]
        shares, predicted = self.predictions.probabilities, self.predictions.predicted[:, order]
        shares = None if shares is None else shares[:, order]
        predictions = SystemPredictions(self.predictions.seeds, predicted, shares)
        return Entrant(self.name, test_set, predictions)

    @property
    def together(self) -> np.ndarray:
        """[utterance] one class number of all seeds.

        That of the mean probabilities; without any, the most frequent, of equal ones the first.
        """
        shares = self.predictions.probabilities
        if shares is None:
            shares = np.eye(len(self.test_set.classes))[self.predictions.predicted]
        numbers: np.ndarray = shares.mean(0).argmax(-1)
        return numbers


def entrant(name: str, table: Predictions, system: str) -> Entrant:
    """A system of a table of predictions, under a name for readers.

    Raises:
        PipelineError: It is left out there.
    """
    if system not in table.by_system:
        why = table.about.get(system, {}).get("left_out", "the table is empty")
        raise PipelineError(f"{name} has no predictions: {why}")
    return Entrant(name, table.test_set, table.by_system[system])


@dataclass(frozen=True)
class Row:
    """An entrant's figures by name, in percent.

    Attributes:
        entrant: Whose; in the order of the first row's utterances, unless it is apart.
        counts: [seed, dialogue, actual, predicted].
        figures: Each overall figure, averaged over seeds, with its interval.
        by_class: F1 of each class, averaged over seeds, with its interval.
        by_seed: Each seed's of the overall figures.
        differences: To the first row; none of the first itself, and of what is apart.
        apart: Why it cannot be paired with the first, in words; "" where it can.
    """

    entrant: Entrant
    counts: np.ndarray
    figures: Mapping[str, Interval]
    by_class: Mapping[str, Interval]
    by_seed: Mapping[str, tuple[float, ...]]
    differences: Mapping[str, Difference]
    apart: str

    def std(self, figure: str = WEIGHTED) -> float | None:
        """See `deviation`."""
        return deviation(self.by_seed[figure])

    def figure(self, name: str = WEIGHTED) -> str:
        """Mean and standard deviation over seeds with the mean's interval."""
        own = self.figures[name]
        return f"{mean_std(own.value, self.std(name))} [{own.low:.1f}, {own.high:.1f}]"

    def less(self, other: "Row", figure: str = WEIGHTED) -> Difference:
        """How far it is above another that was tested on the same."""
        weights = resample_weights(self.counts.shape[1])
        return difference(self.counts, other.counts, weights, OVERALL[figure])


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation over seeds; None where there is one run."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_std(mean: float, std: float | None) -> str:
    """A mean over seeds with its sample standard deviation, if there is one."""
    return f"{mean:.1f}" if std is None else f"{mean:.1f} ± {std:.1f}"


def compared(entrants: Sequence[Entrant]) -> list[Row]:
    """Each entrant's figures, and its differences to the first."""
    rows: list[Row] = []
    for side in entrants:
        why = apart(entrants[0].test_set, side.test_set)
        row = _row(side if why else side.on(entrants[0].test_set), why)
        paired = {} if why or not rows else {name: row.less(rows[0], name) for name in OVERALL}
        rows.append(replace(row, differences=paired))
    return rows


def _row(entrant: Entrant, why: str) -> Row:
    test_set, predicted = entrant.test_set, entrant.predictions.predicted
    counts = confusions(test_set.actual, predicted, test_set.clusters, len(test_set.classes))
    draws = Resampled(counts.sum(1), resample_counts(counts, resample_weights(counts.shape[1])))
    return Row(
        entrant,
        counts,
        figures={name: draws.interval(score) for name, score in OVERALL.items()},
        by_class=dict(zip(test_set.classes, draws.by_class(f1), strict=True)),
        by_seed={n: tuple((100 * score(draws.whole)).tolist()) for n, score in OVERALL.items()},
        differences={},
        apart=why,
    )


def apart(one: TestSet, other: TestSet) -> str:
    """In what the second differs, in words; "" where both were tested on the very same.

    That are equal utterances in equal dialogues with equal labels, of which there are the same
    classes in the same order; the order of the utterances does not matter.
    """
    if one.classes != other.classes:
        return f"other classes ({', '.join(other.classes)})"
    first, second = facts(one), facts(other)
    if first.keys() != second.keys():
        return f"other utterances ({len(first.keys() & second.keys())} are in both)"
    changed = sum(first[utterance] != second[utterance] for utterance in first)
    return f"other labels or dialogues of {changed} utterances" if changed else ""


def facts(test_set: TestSet) -> Mapping[str, tuple[str, int]]:
    """Dialogue and class number by utterance."""
    pairs = zip(test_set.dialogues, test_set.actual.tolist(), strict=True)
    return dict(zip(test_set.utterances, pairs, strict=True))
