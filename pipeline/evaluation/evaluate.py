"""Metrics: from every epoch's predictions to the reported figures."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.evaluation.intervals import resample
from pipeline.evaluation.scores import OVERALL, Scores, deviation, ece, mean, score
from pipeline.records.epochs import EpochPrediction
from pipeline.records.predictions import SystemPredictions, TestSet
from pipeline.records.protocol import Protocol


@dataclass(frozen=True)
class Run:
    """The predictions of one seed for one split's labelled utterances, folds pooled.

    Attributes:
        seed: The run's seed.
        utterances: Ids.
        actual: [utterance] class numbers.
        probabilities: [utterance, class].
    """

    seed: int
    utterances: list[str]
    actual: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """[utterance] class numbers."""
        numbers: np.ndarray = self.probabilities.argmax(axis=1)
        return numbers

    def scores(self, classes: Sequence[str]) -> Scores:
        """Score the run."""
        return score(self.actual, self.predicted, classes)


def selected_runs(rows: Sequence[EpochPrediction], protocol: Protocol, split: str) -> list[Run]:
    """Take one run per seed, at the epochs chosen on validation.

    Args:
        rows: Every epoch's predictions.
        protocol: With the labels of `split`.
        split: `valid` or `test`.
    """
    return runs_of([r for r in rows if r.selected and r.split == split], protocol)


def runs_chosen_on_test(rows: Sequence[EpochPrediction], protocol: Protocol) -> list[Run]:
    """Take one run per seed, at the epochs with the best test score.

    Most papers print these figures; here they only allow comparison, and choose nothing.
    """
    groups: dict[tuple[int, int], list[EpochPrediction]] = defaultdict(list)
    for row in rows:
        if row.split == "test":
            groups[row.fold, row.seed].append(row)
    best = [max(group, key=lambda r: weighted_f1_of(r, protocol)) for group in groups.values()]
    return runs_of(best, protocol)


def weighted_f1_of(row: EpochPrediction, protocol: Protocol) -> float:
    """Weighted F1 of one epoch's predictions for one split, in percent."""
    (run,) = runs_of([row], protocol)
    return run.scores(protocol.classes).weighted_f1


def runs_of(rows: Sequence[EpochPrediction], protocol: Protocol) -> list[Run]:
    """Pool the labelled utterances of all rows of a seed to one run per seed.

    Raises:
        PipelineError: The rows are of other classes than the protocol.
    """
    labels = {(e.fold, e.utterance): e.label for e in protocol.entries if e.label is not None}
    if other := {row.probabilities.shape[1] for row in rows} - {len(protocol.classes)}:
        raise PipelineError(
            f"Predictions are for {sorted(other)} classes, the protocol has {protocol.classes}: "
            "they are of another training. Run `dvc repro`."
        )
    by_seed: dict[int, list[EpochPrediction]] = defaultdict(list)
    for row in rows:
        by_seed[row.seed].append(row)
    runs = []
    for seed, parts in by_seed.items():
        labelled = [[(p.fold, u) in labels for u in p.utterances] for p in parts]
        names = [(p.fold, u) for p in parts for u in p.utterances if (p.fold, u) in labels]
        runs.append(
            Run(
                seed=seed,
                utterances=[u for _, u in names],
                actual=np.array([labels[name] for name in names]),
                probabilities=np.concatenate(
                    [p.probabilities[mask] for p, mask in zip(parts, labelled, strict=True)]
                ),
            )
        )
    return runs


def collect_predictions(
    rows: Sequence[EpochPrediction], protocol: Protocol
) -> tuple[TestSet, SystemPredictions]:
    """A system's predictions for the test utterances, at the epochs chosen on validation.

    Raises:
        PipelineError: The rows are of other utterances or classes than the protocol.
    """
    runs, test_set = selected_runs(rows, protocol, "test"), labelled_test_set(protocol)
    for run in runs:
        if tuple(run.utterances) != test_set.utterances:
            raise PipelineError(
                f"The predictions of seed {run.seed} are for {len(run.utterances)} labelled test "
                f"utterances, not just for the {len(test_set.utterances)} of the protocol: they "
                "are of another training. Run `dvc repro`."
            )
    return test_set, SystemPredictions(
        seeds=tuple(run.seed for run in runs),
        predicted=np.stack([run.predicted for run in runs]),
        probabilities=np.stack([run.probabilities for run in runs]),
    )


def labelled_test_set(protocol: Protocol) -> TestSet:
    """Collect the labelled test utterances in protocol order, one fold after another."""
    entries = [
        entry
        for fold in protocol.folds
        for entry in protocol.entries
        if entry.fold == fold and entry.split == "test" and entry.label is not None
    ]
    return TestSet(
        classes=protocol.classes,
        utterances=tuple(entry.utterance for entry in entries),
        dialogues=tuple(entry.dialogue for entry in entries),
        folds=np.array([entry.fold for entry in entries], np.int32),
        actual=np.array([entry.label for entry in entries]),
    )


def metrics(rows: Sequence[EpochPrediction], protocol: Protocol) -> dict[str, Any]:
    """Compute the content of a system's metrics.json, in percent.

    Args:
        rows: Every epoch's predictions.
        protocol: With all labels.
    """
    test_set, predictions = collect_predictions(rows, protocol)
    valid = selected_runs(rows, protocol, "valid")
    chosen_on_test = runs_chosen_on_test(rows, protocol)
    folds = dict(_folds(test_set, predictions))
    return {
        "test": on_test(test_set, predictions),
        "validation": overall([run.scores(protocol.classes) for run in valid]),
        "test_selected": overall([run.scores(protocol.classes) for run in chosen_on_test]),
        **({"folds": folds} if len(folds) > 1 else {}),
    }


def scores_of(test_set: TestSet, predictions: SystemPredictions) -> list[Scores]:
    """Score each seed."""
    return [score(test_set.actual, run, test_set.classes) for run in predictions.predicted]


def overall(runs: Sequence[Scores]) -> dict[str, float]:
    """Mean over runs, and the sample standard deviation if there are several."""
    figures = {}
    for name in OVERALL:
        values = [getattr(run, name) for run in runs]
        figures[name] = mean(values)
        if len(runs) > 1:
            figures[f"{name}_std"] = deviation(values)
    return figures


def on_test(test_set: TestSet, predictions: SystemPredictions) -> dict[str, Any]:
    """Overall figures with their intervals, calibration error and F1 by class."""
    runs = scores_of(test_set, predictions)
    figures: dict[str, Any] = overall(runs)
    draws = resample(
        test_set.actual, predictions.predicted, test_set.clusters, len(test_set.classes)
    )
    for name, figure in OVERALL.items():
        ends = draws.interval(figure)
        figures |= {f"{name}_low": round(ends.low, 2), f"{name}_high": round(ends.high, 2)}
    if predictions.probabilities is not None:
        errors = [100 * ece(test_set.actual, run) for run in predictions.probabilities]
        figures["ece"] = mean(errors)
    figures["f1"] = {name: mean([run.f1[name] for run in runs]) for name in test_set.classes}
    return figures


def _folds(
    test_set: TestSet, predictions: SystemPredictions
) -> Iterator[tuple[str, dict[str, float]]]:
    """Overall figures of each fold's own test split."""
    for fold in np.unique(test_set.folds):
        mask = test_set.folds == fold
        runs = [
            score(test_set.actual[mask], run[mask], test_set.classes)
            for run in predictions.predicted
        ]
        yield f"fold {fold}", {**overall(runs), "utterances": int(mask.sum())}
