"""The report's figures, drawn for `svg.inline`; colour never carries meaning alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pipeline.base.display import short_name
from pipeline.base.plots import COLOURS, plain
from pipeline.records.predictions import model_name
from pipeline.report.svg import FAINT, HEAT, INK, WIDTH

MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = {"train": ":", "valid": "--", "test": "-"}
MANY_RUNS = 6


def confusion(counts: np.ndarray, classes: Sequence[str]) -> Canvas:
    """Confusion matrix with rows in percent; the diagonal is recall.

    Args:
        counts: [actual, predicted].
        classes: Names by class number.
    """
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    number, names = len(classes), [short_name(name) for name in classes]
    figure = Canvas(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    for (row, column), share in np.ndenumerate(shares):
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=HEAT, alpha=float(share), linewidth=0))
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(number), names, rotation=40, ha="right")
    axes.set_yticks(range(number), names)
    axes.set(xlim=(-0.5, number - 0.5), ylim=(number - 0.5, -0.5), aspect="equal")
    axes.set(xlabel="predicted", ylabel="actual")
    axes.tick_params(length=0)
    return figure


def by_model(table: pd.DataFrame, label: str) -> Canvas:
    """Values and intervals of several models by group, one model below the other.

    Args:
        table: Columns group, model, value, low and high, in percent.
        label: Label of the value axis.
    """
    groups, models = table["group"].unique(), table["model"].unique()
    height = 0.9 + 0.15 * len(groups) * (len(models) + 1)
    figure = Canvas(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    for place, model in enumerate(models):
        rows = table[table["model"] == model].set_index("group").loc[groups]
        heights = np.arange(len(groups)) + (place - (len(models) - 1) / 2) * 0.8 / len(models)
        _intervals(axes, rows, heights, place, model_name(model))
    for line in np.arange(len(groups) - 1) + 0.5:
        axes.axhline(line, color=FAINT, linewidth=0.6)
    _percent(axes, [short_name(group) for group in groups], label)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def slices(rows: pd.DataFrame) -> Canvas:
    """Weighted F1 of slices with intervals, from the rows of slices.csv of one `by`."""
    figure = Canvas(figsize=(WIDTH, 0.75 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    names = {"weighted_f1": "value", "weighted_f1_low": "low", "weighted_f1_high": "high"}
    _intervals(axes, rows.rename(columns=names), np.arange(len(rows)), 0, None)
    parts = zip(rows["slice"], rows["utterances"], strict=True)
    _percent(axes, [f"{short_name(name)} ({count:,})" for name, count in parts], "weighted F1 (%)")
    return figure


def _percent(axes: Axes, names: Sequence[str], label: str) -> None:
    """Put names on the vertical axis, percent on the horizontal one."""
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=label, xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", linewidth=0.6)
    plain(axes)


def _intervals(
    axes: Axes, rows: pd.DataFrame, heights: np.ndarray, place: int, label: str | None
) -> None:
    """Draw a mark at each row's value and a line over its interval."""
    colour = COLOURS[place % len(COLOURS)]
    axes.hlines(heights, rows["low"], rows["high"], color=colour, linewidth=1.4)
    axes.plot(
        rows["value"],
        heights,
        linestyle="none",
        marker=MARKS[place % len(MARKS)],
        markersize=5,
        color=colour,
        markeredgecolor=INK,
        markeredgewidth=0.6,
        label=label,
        clip_on=False,
    )


def reliability(bins: pd.DataFrame) -> Canvas:
    """Accuracy and number of predictions by confidence, from reliability.csv."""
    figure = Canvas(figsize=(WIDTH, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    upper.vlines(bins["confidence"], bins["confidence"], bins["accuracy"], color=FAINT)
    upper.plot([0, 1], [0, 1], color=INK, linestyle=":", label="perfectly calibrated")
    upper.plot(bins["confidence"], bins["accuracy"], color=COLOURS[0], marker="o", label="observed")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    upper.legend(loc="upper left")
    lower.bar(
        bins["low"],
        bins["utterances"],
        bins["high"] - bins["low"],
        align="edge",
        color=COLOURS[0],
        edgecolor=INK,
        linewidth=0.6,
    )
    lower.set(xlabel="probability of the predicted class", ylabel="utterances")
    for axes in (upper, lower):
        plain(axes)
    return figure


def f1_curves(curves: pd.DataFrame) -> Canvas:
    """Weighted F1 by epoch and split, one line per run, from curves.csv; marks at chosen epochs."""
    figure = Canvas(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, split in enumerate(DASHES):
        runs = curves[curves["split"] == split].groupby(["fold", "seed"])
        style: dict[str, Any] = {
            "color": COLOURS[place],
            "linestyle": DASHES[split],
            **_line(len(runs)),
        }
        for line, (_, rows) in enumerate(runs):
            axes.plot(rows["epoch"], rows["weighted_f1"], label=None if line else split, **style)
    valid = curves[curves["split"] == "valid"]
    chosen = valid.loc[valid.groupby(["fold", "seed"])["weighted_f1"].idxmax()]
    axes.plot(
        chosen["epoch"],
        chosen["weighted_f1"],
        linestyle="none",
        marker="o",
        color=COLOURS[1],
        markeredgecolor=INK,
        label="chosen on validation",
    )
    axes.set(xlabel="epoch", ylabel="weighted F1 (%)", ylim=(0, 102))
    return _with_legend(figure, axes)


def losses(history: pd.DataFrame) -> Canvas:
    """Losses by epoch, one line per run, from history.csv."""
    kinds = {
        "train_total": ("train, all terms", "-"),
        "train_cross_entropy": ("train, cross-entropy", ":"),
        "valid_cross_entropy": ("valid, cross-entropy", "--"),
    }
    figure = Canvas(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, (name, (label, dash)) in enumerate(kinds.items()):
        if name not in history:
            continue
        runs = history.groupby(["fold", "seed"])
        style: dict[str, Any] = {"color": COLOURS[place], "linestyle": dash, **_line(len(runs))}
        for line, (_, rows) in enumerate(runs):
            axes.plot(rows["epoch"], rows[name], label=None if line else label, **style)
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    return _with_legend(figure, axes)


def _line(runs: int) -> dict[str, Any]:
    """Line style, thinner if there are many runs."""
    return (
        {"linewidth": 1.2, "alpha": 0.9} if runs <= MANY_RUNS else {"linewidth": 0.8, "alpha": 0.5}
    )


def _with_legend(figure: Canvas, axes: Axes) -> Canvas:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", linewidth=0.6)
    plain(axes)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
