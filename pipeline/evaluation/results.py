"""The files that `evaluate` writes: tables for DVC's plots, predictions, and pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.evaluation.evaluate import Run
from pipeline.files import replacing, write_text
from pipeline.tables import write_table

VERSION = "predictions/1"
MODEL = "MCN-CL"


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes JSON that reads well in a diff."""
    write_text(path, json.dumps(facts, indent=2) + "\n")


def write_predictions(path: Path, runs: Sequence[Run], classes: Sequence[str]) -> None:
    """Writes one row per seed and test utterance, so that anyone can recompute every figure."""
    tables = [_predictions(run, classes) for run in runs]
    write_table(path, pa.concat_tables(tables), VERSION, {"classes": list(classes)})


def _predictions(run: Run, classes: Sequence[str]) -> pa.Table:
    count = len(run.utterances)
    return pa.table(
        {
            "seed": pa.array([run.seed] * count, pa.int64()),
            "utterance": run.utterances,
            "actual": [classes[i] for i in run.actual],
            "predicted": [classes[i] for i in run.predicted],
            **{name: run.probabilities[:, i] for i, name in enumerate(classes)},
        }
    )


def write_confusion(path: Path, runs: Sequence[Run], classes: Sequence[str]) -> None:
    """Writes actual and predicted class of every test utterance and seed, for `dvc plots`."""
    rows = [
        {"actual": classes[actual], "predicted": classes[predicted]}
        for run in runs
        for actual, predicted in zip(run.actual, run.predicted, strict=True)
    ]
    write_csv(path, pd.DataFrame(rows))


def f1_table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """F1 by class of the model and of each baseline: columns class, model, f1."""
    columns = {MODEL: metrics["test"], **metrics["baselines"]}
    rows = [
        {"class": name, "model": model, "f1": value}
        for model, summary in columns.items()
        for name, value in summary["f1"].items()
    ]
    return pd.DataFrame(rows)


def write_f1(path: Path, metrics: Mapping[str, Any]) -> None:
    """Writes `f1_table` as CSV, for `dvc plots`."""
    write_csv(path, f1_table(metrics))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes a table for `dvc plots`."""
    with replacing(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")
