"""Tables that `evaluate` writes: confusions, scores by class, F1 by epoch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.files import write_text
from pipeline.evaluation.evaluate import scores_of, weighted_f1_of
from pipeline.evaluation.intervals import resample
from pipeline.evaluation.scores import f1
from pipeline.records.epochs import EpochPrediction
from pipeline.records.predictions import ModelPredictions, Predictions, TestSet
from pipeline.records.protocol import LEARNT, SPLITS, Protocol

CURVES = ["fold", "seed", "epoch", "split", "weighted_f1"]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON, for readable diffs."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def confusion_table(test_set: TestSet, predictions: ModelPredictions) -> pd.DataFrame:
    """Actual and predicted class of every test utterance and seed, for DVC's confusion template.

    Returns:
        Columns actual, predicted.
    """
    names = np.array(test_set.classes)
    return pd.DataFrame(
        {
            "actual": np.tile(names[test_set.actual], len(predictions.seeds)),
            "predicted": names[predictions.predicted].ravel(),
        }
    )


def class_table(predictions: Predictions) -> pd.DataFrame:
    """Precision, recall, F1 and support by class, of the model and of each baseline.

    Returns:
        Columns class, model, precision, recall, f1, f1_std, f1_low, f1_high (percent, means over
        seeds, the 95 % interval by dialogue) and support, class by class.
    """
    rows = [
        {"class": name, "model": model, **figures}
        for model, of_model in predictions.by_model.items()
        for name, figures in _by_class(predictions.test_set, of_model).items()
    ]
    order = {name: number for number, name in enumerate(predictions.test_set.classes)}
    table = pd.DataFrame(rows).sort_values("class", key=lambda c: c.map(order), kind="stable")
    return table.round(2).reset_index(drop=True)


def _by_class(test_set: TestSet, predictions: ModelPredictions) -> dict[str, dict[str, float]]:
    runs = scores_of(test_set, predictions)
    draws = resample(
        test_set.actual, predictions.predicted, test_set.clusters, len(test_set.classes)
    )
    intervals = dict(zip(test_set.classes, draws.by_class(f1), strict=True))
    figures = {}
    for name in test_set.classes:
        values = [run.f1[name] for run in runs]
        figures[name] = {
            "precision": float(np.mean([run.precision[name] for run in runs])),
            "recall": float(np.mean([run.recall[name] for run in runs])),
            "f1": float(np.mean(values)),
            "f1_std": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
            "f1_low": intervals[name].low,
            "f1_high": intervals[name].high,
            "support": runs[0].support[name],
        }
    return figures


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
        The columns `CURVES`, sorted by fold, seed, epoch and split.
    """
    epochs = history[["fold", "seed", "epoch"]].astype(int)
    parts = [
        epochs.assign(split=split, weighted_f1=history[f"{split}_weighted_f1"]) for split in LEARNT
    ]
    test = [
        (row.fold, row.seed, row.epoch, "test", weighted_f1_of(row, protocol))
        for row in rows
        if row.split == "test"
    ]
    curves = pd.concat([*parts, pd.DataFrame(test, columns=CURVES)])
    curves["split"] = pd.Categorical(curves["split"], SPLITS, ordered=True)
    return curves.sort_values(CURVES[:4], kind="stable").round(4).reset_index(drop=True)
