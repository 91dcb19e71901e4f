"""Where the model is right: confusions, calibration, parts of the test split, each epoch."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipeline.records.predictions import MODEL
from pipeline.report import plots
from pipeline.report.blocks import Figure, Figures, Row, Section, Table, Text
from pipeline.report.read import Results
from pipeline.report.words import many, number, records, whole

DESCRIPTIONS = {
    "turn position": "place of the turn in its dialogue, from 1",
    "dialogue length": "turns of the dialogue",
    "speaker": "who speaks",
    "modalities present": "how many are not masked",
    "emotion shift": "whether the speaker's label differs from that of their turn before",
}


def errors(results: Results) -> Section:
    """Confusion matrix and reliability curve."""
    test_set, predictions = results.predictions.test_set, results.predictions.by_model[MODEL]
    counts = np.zeros((len(test_set.classes), len(test_set.classes)))
    np.add.at(
        counts, (np.tile(test_set.actual, len(predictions.seeds)), predictions.predicted.ravel()), 1
    )
    ece = number(results.metrics["test"].get("ece"))
    bins = results.tables["reliability"]
    confusion = Figure(
        "confusion",
        "Confusion matrix: percent of each actual class",
        _confused(counts, test_set.classes),
        "confusion.png",
        lambda: plots.confusion(counts, test_set.classes),
    )
    reliability = Figure(
        "reliability",
        f"Reliability: expected calibration error {ece} %",
        "Above, the share of right predictions by the probability the model gives them, beside the "
        "diagonal of a calibrated model; below, how many utterances each bin holds.",
        "reliability.png",
        lambda: plots.reliability(bins),
    )
    return Section(
        "errors",
        "What is taken for what, and how sure of it",
        (
            Text(
                "All seeds together, epochs chosen on validation. Rows of the matrix sum to 100; "
                "its diagonal is recall. Points below the diagonal of the reliability curve are "
                "predictions that were surer than they were right."
            ),
            Figures((confusion, reliability)),
        ),
    )


def _confused(counts: np.ndarray, classes: tuple[str, ...]) -> str:
    """The largest confusion of each class, in words."""
    told = []
    for name, row in zip(classes, counts, strict=True):
        if row.sum():
            right = 100 * row[classes.index(name)] / row.sum()
            wrong = np.where(np.arange(len(row)) == classes.index(name), -1, row).argmax()
            share = 100 * row[wrong] / row.sum()
            told.append(f"{name}: {right:.0f} % right, {share:.0f} % taken for {classes[wrong]}")
    return "; ".join(told) + "."


def parts(results: Results) -> Section:
    """Weighted F1 of parts of the test split."""
    table = results.tables["slices"]
    groups = dict(tuple(table.groupby("by", sort=False)))
    figures = tuple(_figure(str(by), rows) for by, rows in groups.items())
    note = Text(
        f"{MODEL}, validation-selected, with 95 % intervals by dialogue, which a part of one "
        "dialogue has not; the number of utterances is in brackets. A part's weighted F1 depends "
        "on which classes it holds, so parts differ for that reason too."
    )
    tables = tuple(_table(str(by), rows) for by, rows in groups.items())
    return Section("parts", "Parts of the test split", (note, Figures(figures), *tables))


def _figure(by: str, rows: pd.DataFrame) -> Figure:
    return Figure(
        f"by-{by.replace(' ', '-')}",
        f"Weighted F1 by {by}",
        f"{DESCRIPTIONS.get(by, by)}: a mark at the weighted F1 of each part, a line over its "
        "interval; the tables below hold the figures.",
        "slices.png",
        partial(plots.slices, rows),
    )


def _table(by: str, rows: pd.DataFrame) -> Table:
    cells = [
        Row((row["slice"], *_counts(row), whole(row, "weighted_f1"), number(row["accuracy"])))
        for row in records(rows)
    ]
    return Table(
        f"By {by} ({DESCRIPTIONS.get(by, by)})",
        (by, "utterances", "dialogues", "weighted F1", "accuracy"),
        tuple(cells),
        "lrrrr",
        folded=True,
    )


def _counts(row: Mapping[str, Any]) -> list[str]:
    return [f"{row[name]:,}" for name in ("utterances", "dialogues")]


def learning(results: Results) -> Section:
    """F1 and losses by epoch."""
    curves, history = results.tables["curves"], results.tables["history"]
    figures = (
        Figure(
            "curves",
            "Weighted F1 by epoch and split, a line per run",
            " ".join(_learned(curves)),
            "history.png",
            lambda: plots.f1_curves(curves),
        ),
        Figure(
            "losses",
            "Losses by epoch, a line per run",
            "The whole training loss with its contrastive terms, and cross-entropy on train and on "
            "validation.",
            "history.png",
            lambda: plots.losses(history),
        ),
    )
    return Section(
        "learning",
        "Learning curves",
        (
            Text(
                "F1 on train is of the predictions made while training, with dropout. The test "
                "curve is drawn afterwards: nothing that trains or chooses has seen it."
            ),
            Figures(figures),
        ),
    )


def _learned(curves: pd.DataFrame) -> Iterator[str]:
    runs = curves.groupby(["fold", "seed"])["epoch"].max()
    yield f"{many(len(runs), 'run')} of {runs.min()} to {runs.max()} epochs."
    for split, rows in curves.groupby("split", sort=False):
        ends = (
            rows.sort_values("epoch").groupby(["fold", "seed"])["weighted_f1"].agg(["max", "last"])
        )
        best, last = ends["max"].mean(), ends["last"].mean()
        yield f"{split}: at best {best:.1f}, at the last epoch {last:.1f}."
