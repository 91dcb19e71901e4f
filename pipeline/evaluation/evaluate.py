"""From every epoch's predictions to the figures that are reported."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation.intervals import resample
from pipeline.evaluation.scores import OVERALL, Scores, deviation, ece, mean, score
from pipeline.records.epochs import EpochPrediction
from pipeline.records.predictions import MODEL, ModelPredictions, Predictions, TestSet
from pipeline.records.protocol import Protocol


@dataclass(frozen=True)
class Run:
    """The predictions of one seed on one split, folds pooled.

    Attributes:
        seed: Which.
        utterances: The labelled ones.
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
        """The run's figures."""
        return score(self.actual, self.predicted, classes)


def selected_runs(rows: Sequence[EpochPrediction], protocol: Protocol, split: str) -> list[Run]:
    """One run per seed, at the epochs that validation chose.

    Args:
        rows: Every epoch's predictions.
        protocol: With the labels of `split`.
        split: `valid` or `test`.
    """
    return runs_of([r for r in rows if r.selected and r.split == split], protocol)


def runs_chosen_on_test(rows: Sequence[EpochPrediction], protocol: Protocol) -> list[Run]:
    """One run per seed, at the epochs with the best test score: what most papers print.

    It says what the published protocol would give; nothing is chosen by it.
    """
    groups: dict[tuple[int, int], list[EpochPrediction]] = defaultdict(list)
    for row in rows:
        if row.split == "test":
            groups[row.fold, row.seed].append(row)
    best = [max(group, key=lambda r: _weighted(r, protocol)) for group in groups.values()]
    return runs_of(best, protocol)


def _weighted(row: EpochPrediction, protocol: Protocol) -> float:
    (run,) = runs_of([row], protocol)
    return run.scores(protocol.classes).weighted_f1


def runs_of(rows: Sequence[EpochPrediction], protocol: Protocol) -> list[Run]:
    """One run per seed, of the labelled utterances of all rows of that seed: folds are pooled."""
    labels = {(e.fold, e.utterance): e.label for e in protocol.entries if e.label is not None}
    by_seed: dict[int, list[EpochPrediction]] = defaultdict(list)
    for row in rows:
        by_seed[row.seed].append(row)
    runs = []
    for seed, parts in by_seed.items():
        known = [[(p.fold, u) in labels for u in p.utterances] for p in parts]
        names = [(p.fold, u) for p in parts for u in p.utterances if (p.fold, u) in labels]
        runs.append(
            Run(
                seed=seed,
                utterances=[u for _, u in names],
                actual=np.array([labels[name] for name in names]),
                probabilities=np.concatenate(
                    [p.probabilities[k] for p, k in zip(parts, known, strict=True)]
                ),
            )
        )
    return runs


def predictions(
    rows: Sequence[EpochPrediction], protocol: Protocol, beside: Mapping[str, ModelPredictions]
) -> Predictions:
    """What the model says of the test utterances at the epochs that validation chose.

    Args:
        rows: Every epoch's predictions.
        protocol: With all labels.
        beside: What the baselines say, in protocol order, folds one after another.
    """
    runs = selected_runs(rows, protocol, "test")
    predictions = ModelPredictions(
        seeds=tuple(run.seed for run in runs),
        predicted=np.stack([run.predicted for run in runs]),
        probabilities=np.stack([run.probabilities for run in runs]),
    )
    return Predictions(tested_in(protocol), {MODEL: predictions, **beside})


def tested_in(protocol: Protocol) -> TestSet:
    """The labelled test utterances in protocol order, folds one after another."""
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


def metrics(
    found: Predictions, rows: Sequence[EpochPrediction], protocol: Protocol
) -> dict[str, Any]:
    """What goes into metrics.json, in percent.

    Args:
        found: What the model and the baselines say of the test utterances.
        rows: Every epoch's predictions.
        protocol: With all labels.
    """
    classes = protocol.classes
    valid = selected_runs(rows, protocol, "valid")
    by_test = runs_chosen_on_test(rows, protocol)
    folds = dict(_folds(found.test_set, found.by_model[MODEL]))
    return {
        "test": _on_test(found.test_set, found.by_model[MODEL]),
        "validation": overall([run.scores(classes) for run in valid]),
        "test_selected": overall([run.scores(classes) for run in by_test]),
        **({"folds": folds} if len(folds) > 1 else {}),
        "baselines": {
            name: _on_test(found.test_set, predictions)
            for name, predictions in found.by_model.items()
            if name != MODEL
        },
    }


def scores_of(test_set: TestSet, predictions: ModelPredictions) -> list[Scores]:
    """The figures of each seed."""
    return [score(test_set.actual, run, test_set.classes) for run in predictions.predicted]


def overall(runs: Sequence[Scores]) -> dict[str, float]:
    """Mean over runs, and the sample standard deviation where there are several."""
    found = {}
    for name in OVERALL:
        values = [getattr(run, name) for run in runs]
        found[name] = mean(values)
        if len(runs) > 1:
            found[f"{name}_std"] = deviation(values)
    return found


def _on_test(test_set: TestSet, predictions: ModelPredictions) -> dict[str, Any]:
    """Overall figures with their intervals, calibration, F1 by class."""
    runs = scores_of(test_set, predictions)
    found: dict[str, Any] = overall(runs)
    draws = resample(
        test_set.actual, predictions.predicted, test_set.clusters, len(test_set.classes)
    )
    for name, figure in OVERALL.items():
        ends = draws.interval(figure)
        found |= {f"{name}_low": round(ends.low, 2), f"{name}_high": round(ends.high, 2)}
    if predictions.probabilities is not None:
        found["ece"] = mean([100 * ece(test_set.actual, run) for run in predictions.probabilities])
    found["f1"] = {name: mean([run.f1[name] for run in runs]) for name in test_set.classes}
    return found


def _folds(
    test_set: TestSet, predictions: ModelPredictions
) -> Iterator[tuple[str, dict[str, float]]]:
    """The overall figures of each fold's own test split."""
    for fold in np.unique(test_set.folds):
        own = test_set.folds == fold
        runs = [
            score(test_set.actual[own], run[own], test_set.classes) for run in predictions.predicted
        ]
        yield f"fold {fold}", {**overall(runs), "utterances": int(own.sum())}
