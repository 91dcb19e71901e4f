"""The tables that `evaluate` writes for DVC's plots and for whoever reads them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.files import replacing, write_text
from pipeline.evaluation.evaluate import scores_of
from pipeline.evaluation.intervals import resample
from pipeline.evaluation.scores import f1
from pipeline.records.predictions import ModelPredictions, Predictions, TestSet


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes JSON that reads well in a diff."""
    write_text(path, json.dumps(facts, indent=2) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes a table; a figure that does not exist is an empty cell."""
    with replacing(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")


def confusion_table(test_set: TestSet, predictions: ModelPredictions) -> pd.DataFrame:
    """Actual and predicted class of every test utterance and seed, as DVC's template counts them.

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


def class_table(found: Predictions) -> pd.DataFrame:
    """Precision, recall, F1 and support by class, of the model and of each baseline.

    Returns:
        Columns class, model, precision, recall, f1, f1_std, f1_low, f1_high (percent, means over
        seeds, the 95 % interval by dialogue) and support, class by class.
    """
    rows = [
        {"class": name, "model": model, **figures}
        for model, predictions in found.by_model.items()
        for name, figures in _by_class(found.test_set, predictions).items()
    ]
    order = {name: number for number, name in enumerate(found.test_set.classes)}
    table = pd.DataFrame(rows).sort_values("class", key=lambda c: c.map(order), kind="stable")
    return table.round(2).reset_index(drop=True)


def _by_class(test_set: TestSet, predictions: ModelPredictions) -> dict[str, dict[str, float]]:
    runs = scores_of(test_set, predictions)
    draws = resample(
        test_set.actual, predictions.predicted, test_set.clusters, len(test_set.classes)
    )
    ends = dict(zip(test_set.classes, draws.by_class(f1), strict=True))
    found = {}
    for name in test_set.classes:
        values = [run.f1[name] for run in runs]
        found[name] = {
            "precision": float(np.mean([run.precision[name] for run in runs])),
            "recall": float(np.mean([run.recall[name] for run in runs])),
            "f1": float(np.mean(values)),
            "f1_std": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
            "f1_low": ends[name].low,
            "f1_high": ends[name].high,
            "support": runs[0].support[name],
        }
    return found
