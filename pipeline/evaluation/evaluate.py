"""From every epoch's predictions to the figures that are reported."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation import baselines
from pipeline.evaluation.scores import Scores, score, summarised
from pipeline.features import Features
from pipeline.protocol import Protocol
from pipeline.settings.evaluate import EvaluateSettings
from pipeline.training.epochs import EpochPrediction


@dataclass(frozen=True)
class Run:
    """The test predictions of one seed, folds pooled.

    Attributes:
        seed: Which.
        utterances: Labelled test utterances.
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


def baseline_scores(
    protocol: Protocol,
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    settings: EvaluateSettings,
) -> dict[str, Scores]:
    """The figures of each baseline, folds pooled."""
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    actual = []
    for fold in protocol.folds:
        splits = baselines.labelled(protocol.entries, fold)
        actual.append(splits.labels["test"])
        for name in settings.baselines:
            found[name].append(_baseline(name, splits, stores, texts, settings.regularisation))
    truth = np.concatenate(actual)
    return {n: score(truth, np.concatenate(parts), protocol.classes) for n, parts in found.items()}


def _baseline(
    name: str,
    splits: baselines.Splits,
    stores: Mapping[str, Features],
    texts: Mapping[str, str],
    strengths: Sequence[float],
) -> np.ndarray:
    if name == "majority":
        return baselines.majority(splits)
    if name == "tfidf":
        return baselines.tfidf(splits, texts, strengths)
    return baselines.logistic_regression(splits, stores, strengths)


def metrics(
    rows: Sequence[EpochPrediction], protocol: Protocol, beside: Mapping[str, Scores]
) -> dict[str, Any]:
    """What goes into metrics.json, in percent.

    Args:
        rows: Every epoch's predictions.
        protocol: With all labels.
        beside: The baselines' figures on test.
    """
    test, valid = (selected_runs(rows, protocol, split) for split in ("test", "valid"))
    by_test = runs_chosen_on_test(rows, protocol)
    classes = protocol.classes
    return {
        "test": summarised([run.scores(classes) for run in test]),
        "validation": _overall(summarised([run.scores(classes) for run in valid])),
        "test_selected": _overall(summarised([run.scores(classes) for run in by_test])),
        "baselines": {name: summarised([scores]) for name, scores in beside.items()},
    }


def _overall(summary: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in summary.items() if name != "f1"}
