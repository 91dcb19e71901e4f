"""Tables of results: confusions, scores by class, F1 by epoch, all systems by rank."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.evaluation.evaluate import scores_of, weighted_f1_of
from pipeline.evaluation.intervals import Interval, resample
from pipeline.evaluation.ranking import standings
from pipeline.evaluation.scores import confusions, f1
from pipeline.records.epochs import EpochPrediction
from pipeline.records.predictions import Predictions, SystemPredictions, TestSet
from pipeline.records.protocol import LEARNT, SPLITS, Protocol

RUN = ["fold", "seed", "epoch"]
# The tables of a system and their columns; those that DVC plots lie beside the folder of others.
COLUMNS = {
    "confusion": ["actual", "predicted", "percent"],
    "classes": ["class", "precision", "recall", "f1", "f1_std", "f1_low", "f1_high", "support"],
    "slices": [
        *("by", "slice", "utterances", "dialogues", "weighted_f1", "weighted_f1_std"),
        *("weighted_f1_low", "weighted_f1_high", "accuracy"),
    ],
    "reliability": ["low", "high", "confidence", "accuracy", "utterances"],
    "curves": [*RUN, "split", "weighted_f1", "chosen"],
}
PLOTTED = ("confusion", "classes")
CURVES = COLUMNS["curves"]


def confusion_table(test_set: TestSet, predictions: SystemPredictions) -> pd.DataFrame:
    """How often each class is predicted for each, all seeds together.

    Returns:
        Columns actual, predicted and percent of the actual class; every pair in the order of the
        classes, so that a plot of DVC's keeps it.
    """
    counts = confusions_of(test_set, predictions)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = test_set.classes
    return pd.DataFrame(
        [
            (names[row], names[column], round(float(share), 2))
            for (row, column), share in np.ndenumerate(shares)
        ],
        columns=COLUMNS["confusion"],
    )


def confusions_of(test_set: TestSet, predictions: SystemPredictions) -> np.ndarray:
    """Counts of all seeds together: [actual, predicted]."""
    one = np.zeros_like(test_set.actual)
    counts: np.ndarray = confusions(
        test_set.actual, predictions.predicted, one, len(test_set.classes)
    ).sum((0, 1))
    return counts


def class_table(test_set: TestSet, predictions: SystemPredictions) -> pd.DataFrame:
    """A system's precision, recall, F1 and support by class.

    Returns:
        Columns class, precision, recall, f1, f1_std, f1_low, f1_high (percent, means over seeds,
        the 95 % interval by dialogue) and support.
    """
    runs = scores_of(test_set, predictions)
    draws = resample(
        test_set.actual, predictions.predicted, test_set.clusters, len(test_set.classes)
    )
    rows = []
    for name, interval in zip(test_set.classes, draws.by_class(f1), strict=True):
        values = [run.f1[name] for run in runs]
        rows.append(
            {
                "class": name,
                "precision": float(np.mean([run.precision[name] for run in runs])),
                "recall": float(np.mean([run.recall[name] for run in runs])),
                "f1": float(np.mean(values)),
                "f1_std": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
                "f1_low": interval.low,
                "f1_high": interval.high,
                "support": runs[0].support[name],
            }
        )
    return pd.DataFrame(rows).round(2)


def leaderboard(predictions: Predictions, reference: str) -> pd.DataFrame:
    """All systems by rank; see `ranking.standings`.

    Returns:
        Columns system, title, fidelity, rank, rank_low, rank_high, first, difference (to the
        reference) and its ends; weighted_f1, macro_f1 and rare_f1, each with _std, _low and _high,
        all in percent; parameters (of one model, empty where unknown).
    """
    rows = []
    for place in standings(predictions, reference):
        about = predictions.about[place.system]
        row = {
            "system": place.system,
            "title": about.get("title", place.system),
            "fidelity": about["fidelity"],
            "rank": place.rank,
            "rank_low": place.ranks[0],
            "rank_high": place.ranks[1],
            "first": place.first,
            **_ends("difference", place.difference),
        }
        for name, score in place.scores.items():
            row |= {**_ends(name, score), f"{name}_std": place.deviations[name]}
        rows.append({**row, "parameters": about.get("parameters")})
    return pd.DataFrame(rows).round(2)


def _ends(name: str, interval: Interval | None) -> dict[str, float]:
    if interval is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def f1_curves(
    history: pd.DataFrame, rows: Sequence[EpochPrediction], protocol: Protocol
) -> pd.DataFrame:
    """Weighted F1 of every split after each epoch of each run.

    Train F1 is of the predictions made while training. Test F1 is computed here, since training
    knows no test label.

    Args:
        history: As `train` writes it: fold, seed, epoch, train_weighted_f1, valid_weighted_f1.
        rows: Every epoch's predictions.
        protocol: With all labels.

    Returns:
        The columns `CURVES`, sorted by fold, seed, epoch and split; `chosen` epochs are those that
        validation chose.
    """
    epochs = history[RUN].astype(int)
    parts = [
        epochs.assign(split=split, weighted_f1=history[f"{split}_weighted_f1"]) for split in LEARNT
    ]
    test = [
        (row.fold, row.seed, row.epoch, "test", weighted_f1_of(row, protocol))
        for row in rows
        if row.split == "test"
    ]
    curves = pd.concat([*parts, pd.DataFrame(test, columns=CURVES[:5])])
    chosen = {(row.fold, row.seed, row.epoch) for row in rows if row.selected}
    curves["chosen"] = [run in chosen for run in curves[RUN].itertuples(index=False, name=None)]
    curves["split"] = pd.Categorical(curves["split"], SPLITS, ordered=True)
    return curves.sort_values(CURVES[:4], kind="stable").round(4).reset_index(drop=True)
