"""PNG plots of the results, for looking at without a browser."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from pipeline.base.display import short_name
from pipeline.base.plots import COLOURS, plain, save

HATCHES = ("", "//", "..", "xx", "\\\\", "oo")
MARKERS = ("o", "s", "^", "D")
MIDDLE = 0.5


def draw_confusion(path: Path, corpus: str, table: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Draw the confusion matrix over all seeds; rows are normalised, so the diagonal is recall.

    Args:
        path: Output file.
        corpus: For the title.
        table: Columns actual, predicted.
        classes: In order.
    """
    labels, names = list(range(len(classes))), [short_name(name) for name in classes]
    shares = confusion_matrix(
        table["actual"], table["predicted"], labels=list(classes), normalize="true"
    )
    figure = Figure(figsize=(6, 5.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > MIDDLE else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(labels, names, rotation=40, ha="right")
    axes.set_yticks(labels, names)
    axes.set(xlabel="predicted", ylabel="actual", title=f"{corpus}, test: confusion matrix")
    figure.colorbar(image, shrink=0.8)
    save(figure, path)


def draw_f1(path: Path, corpus: str, table: pd.DataFrame) -> None:
    """Draw F1 by class with intervals, for the model and the baselines; see `class_table`."""
    models = table["model"].unique()
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    names = table["class"].unique()
    places, width = np.arange(len(names)), 0.8 / len(models)
    for number, model in enumerate(models):
        rows = table[table["model"] == model]
        offset = (number - (len(models) - 1) / 2) * width
        axes.bar(
            places + offset,
            rows["f1"],
            width,
            label=model,
            color=COLOURS[number],
            edgecolor="white",
            hatch=HATCHES[number],
            yerr=_error_bars(rows, "f1"),
            error_kw={"elinewidth": 0.8, "capsize": 2, "ecolor": "0.25"},
        )
    axes.set_xticks(places, [short_name(name) for name in names])
    axes.set(
        ylabel="F1 (%)",
        ylim=(0, 105),
        title=f"{corpus}, test: F1 by class with 95 % intervals, epochs selected on validation",
    )
    figure.legend(ncols=len(models), frameon=False, fontsize=8, loc="outside lower center")
    plain(axes)
    save(figure, path)


def draw_history(path: Path, history: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Draw the training loss and the weighted F1 of each split by epoch, a line per run.

    Args:
        path: Output file.
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
            style = {"color": COLOURS[number], "marker": MARKERS[number], "markersize": 2.5}
            right.plot(rows["epoch"], rows["weighted_f1"], label=label, **style)
    left.set(xlabel="epoch", title="training loss, one line per run")
    right.set(xlabel="epoch", title="weighted F1 (%) by split", ylim=(0, 102))
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        plain(axes)
    save(figure, path)


def draw_reliability(path: Path, corpus: str, table: pd.DataFrame, ece: float) -> None:
    """Draw accuracy and number of predictions by confidence.

    Args:
        path: Output file.
        corpus: For the title.
        table: See `scores.reliability`.
        ece: Expected calibration error, in percent.
    """
    figure = Figure(figsize=(5, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="perfectly calibrated")
    upper.plot(table["confidence"], table["accuracy"], color=COLOURS[0], marker="o", label="MCN-CL")
    upper.set(ylabel="accuracy", ylim=(0, 1.02), xlim=(0, 1))
    upper.set_title(f"{corpus}, test: reliability, ECE {ece:.1f} %")
    upper.legend(frameon=False, fontsize=8)
    width = table["high"] - table["low"]
    lower.bar(table["low"], table["utterances"], width, align="edge", color=COLOURS[5], ec="white")
    lower.set(xlabel="probability of the predicted class", ylabel="utterances")
    for axes in (upper, lower):
        plain(axes)
    save(figure, path)


def draw_slices(path: Path, corpus: str, table: pd.DataFrame) -> None:
    """Draw the weighted F1 of each slice with its interval, a panel per kind; see `slices`."""
    kinds = table["by"].unique()
    heights = [len(table[table["by"] == kind]) + 1.2 for kind in kinds]
    figure = Figure(figsize=(7, 0.27 * sum(heights) + 0.6), layout="constrained")
    for axes, kind in zip(
        figure.subplots(len(kinds), 1, sharex=True, height_ratios=heights), kinds, strict=True
    ):
        _draw_kind(axes, str(kind), table[table["by"] == kind])
    figure.axes[-1].set(xlabel="weighted F1 (%) with 95 % interval", xlim=(0, 100))
    figure.suptitle(f"{corpus}, test: weighted F1 by slice", fontsize=11)
    save(figure, path)


def _draw_kind(axes: Axes, kind: str, rows: pd.DataFrame) -> None:
    places = np.arange(len(rows))[::-1]
    axes.errorbar(
        rows["weighted_f1"],
        places,
        xerr=_error_bars(rows, "weighted_f1"),
        fmt="o",
        color=COLOURS[0],
        ecolor=COLOURS[5],
        capsize=2,
        markersize=4,
    )
    names = [f"{short_name(str(row.slice))} (n={row.utterances})" for row in rows.itertuples()]
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_title(f"by {kind}", loc="left", fontsize=9)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    plain(axes)


def _error_bars(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Lengths of the interval below and above each figure, [2, row]; 0 without an interval.

    A percentile interval need not contain the figure itself, so lengths are clipped at 0.
    """
    below = rows[name] - rows[f"{name}_low"]
    above = rows[f"{name}_high"] - rows[name]
    lengths: np.ndarray = np.nan_to_num(np.clip([below, above], 0, None))
    return lengths
