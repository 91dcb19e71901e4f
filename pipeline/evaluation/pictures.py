"""The plots as PNG: what a person looks at without a browser or a network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from pipeline.drawing import COLOURS, plain, save
from pipeline.evaluation.evaluate import Run

MIDDLE = 0.5


def draw_confusion(path: Path, corpus: str, runs: Sequence[Run], classes: Sequence[str]) -> None:
    """Draws the confusion matrix over all seeds; rows are normalised, so the diagonal is recall."""
    actual = np.concatenate([run.actual for run in runs])
    predicted = np.concatenate([run.predicted for run in runs])
    labels = list(range(len(classes)))
    shares = confusion_matrix(actual, predicted, labels=labels, normalize="true")
    figure = Figure(figsize=(6, 5.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > MIDDLE else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(labels, classes, rotation=40, ha="right")
    axes.set_yticks(labels, classes)
    axes.set(xlabel="predicted", ylabel="actual", title=f"{corpus}, test: share of each class")
    figure.colorbar(image, shrink=0.8)
    save(figure, path)


def draw_f1(path: Path, corpus: str, table: pd.DataFrame) -> None:
    """Draws F1 by class, the model beside the baselines.

    Args:
        path: Where to.
        corpus: Whose.
        table: Columns class, model, f1 in percent.
    """
    wide = table.pivot(index="class", columns="model", values="f1")
    wide = wide.loc[table["class"].unique(), table["model"].unique()]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    places, width = np.arange(len(wide)), 0.8 / wide.shape[1]
    for number, (name, values) in enumerate(wide.items()):
        offset = (number - (wide.shape[1] - 1) / 2) * width
        axes.bar(places + offset, values, width, label=str(name), color=COLOURS[number])
    axes.set_xticks(places, [str(name) for name in wide.index])
    axes.set(
        ylabel="F1 (%)",
        ylim=(0, 100),
        title=f"{corpus}, test: F1 by class, epochs chosen on validation",
    )
    axes.legend(ncols=wide.shape[1], frameon=False, fontsize=8)
    plain(axes)
    save(figure, path)


def draw_history(path: Path, history: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Draws the training loss and the weighted F1 of each split by epoch, a line per run.

    Args:
        path: Where to.
        history: Columns fold, seed, epoch, train_total.
        curves: Columns fold, seed, epoch, split, weighted_f1.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for _, rows in history.groupby(["fold", "seed"]):
        left.plot(rows["epoch"], rows["train_total"], color=COLOURS[0])
    for number, split in enumerate(curves["split"].unique()):
        runs = curves[curves["split"] == split].groupby(["fold", "seed"])
        for line, (_, rows) in enumerate(runs):
            label = str(split) if not line else None
            right.plot(rows["epoch"], rows["weighted_f1"], color=COLOURS[number], label=label)
    left.set(xlabel="epoch", title="training loss, a line per run")
    right.set(xlabel="epoch", title="weighted F1 (%) by split", ylim=(0, 102))
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        plain(axes)
    save(figure, path)
