"""The figures of a corpus and of each system: functions from tables to matplotlib figures.

The stage `report` saves them as PNG and draws the same ones into its page. Colour never carries
meaning alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pipeline.base.display import short_name
from pipeline.base.plots import COLOURS, FAINT, HEAT, INK, plain

WIDTH = 4.8  # inches; narrow enough for readable text on a phone
SMALL = 8.5
LONGEST = 28  # letters of a system's title or a slice
PANELS = 2  # classes side by side
DASHES = {"train": ":", "valid": "--", "test": "-"}
LOSSES = {
    "train_total": ("train, all terms", "-"),
    "train_cross_entropy": ("train, cross-entropy", ":"),
    "valid_cross_entropy": ("valid, cross-entropy", "--"),
}
MANY_RUNS = 6
MARKERS = ("s", "D", "^", "v", "P")


def leaderboard(table: pd.DataFrame, reference: str) -> Figure:
    """Weighted F1 of each system with its interval.

    Args:
        table: Columns title, weighted_f1, weighted_f1_low, weighted_f1_high; best first.
        reference: Title of the system that a line is drawn at.
    """
    figure = Figure(figsize=(WIDTH, 0.9 + 0.24 * len(table)), layout="constrained")
    axes = figure.subplots()
    for value in table.loc[table["title"] == reference, "weighted_f1"]:
        axes.axvline(value, color=COLOURS[4], linestyle=":", linewidth=1, label=reference)
        figure.legend(loc="outside upper right", fontsize=SMALL)
    _intervals(axes, table, "weighted_f1")
    _names(axes, table["title"])
    axes.set(xlabel="weighted F1 on test, 95 % interval")
    return figure


def published(table: pd.DataFrame, sources: Sequence[str]) -> Figure:
    """Weighted F1 of each system with its interval, and as each source prints it.

    Args:
        table: Columns title, weighted_f1, weighted_f1_low, weighted_f1_high and those of sources.
        sources: Columns, NaN where a source does not have a system.
    """
    figure = Figure(figsize=(WIDTH, 1.6 + 0.24 * len(table)), layout="constrained")
    axes = figure.subplots()
    _intervals(axes, table, "weighted_f1", "measured here")
    for place, source in enumerate(sources):
        axes.plot(
            table[source],
            np.arange(len(table)),
            linestyle="none",
            marker=MARKERS[place % len(MARKERS)],
            markersize=5,
            color=COLOURS[1 + place % (len(COLOURS) - 1)],
            markeredgecolor=INK,
            markeredgewidth=0.6,
            label=source,
        )
    _names(axes, table["title"])
    axes.set(xlabel="weighted F1 on test, 95 % interval")
    figure.legend(loc="outside lower left", fontsize=SMALL, ncols=2)
    return figure


def by_class(table: pd.DataFrame) -> Figure:
    """F1 of each system with its interval, a panel per class.

    Args:
        table: Columns class, title, f1, f1_low, f1_high; in each class the same titles.
    """
    groups = list(table.groupby("class", sort=False))
    rows = -(-len(groups) // PANELS)
    height = 0.5 + rows * (0.45 + 0.17 * table["title"].nunique())
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(rows, PANELS, sharex=True, sharey=True, squeeze=False).flat
    for axes, (name, part) in zip(panels, groups, strict=False):
        _intervals(axes, part, "f1")
        _names(axes, part["title"])
        axes.set_title(short_name(str(name)), fontsize=9, loc="left")
        axes.tick_params(labelbottom=True)
        axes.set(xlim=(0, 100))
    for axes in list(figure.axes)[len(groups) :]:
        axes.set_visible(False)
    figure.supxlabel("F1 on test (%), 95 % interval", fontsize=9)
    return figure


def confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Confusion matrix with rows in percent; the diagonal is recall.

    Args:
        counts: [actual, predicted].
        classes: Names by class number.
    """
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    number, names = len(classes), [short_name(name) for name in classes]
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    for (row, column), share in np.ndenumerate(shares):
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=HEAT, alpha=float(share), linewidth=0))
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(number), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(number), names)
    axes.set(xlim=(-0.5, number - 0.5), ylim=(number - 0.5, -0.5), aspect="equal")
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_title("percent of each actual class", fontsize=9)
    axes.tick_params(length=0)
    return figure


def reliability(bins: pd.DataFrame) -> Figure:
    """Accuracy and number of predictions by confidence; see `scores.reliability`."""
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    upper.vlines(bins["confidence"], bins["confidence"], bins["accuracy"], color=FAINT)
    upper.plot([0, 1], [0, 1], color=INK, linestyle=":", label="perfectly calibrated")
    upper.plot(bins["confidence"], bins["accuracy"], color=COLOURS[0], marker="o", label="observed")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    upper.legend(loc="upper left", fontsize=SMALL)
    width = bins["high"] - bins["low"]
    lower.bar(bins["low"], bins["utterances"], width, align="edge", color=COLOURS[0], edgecolor=INK)
    lower.set(xlabel="probability of the predicted class", ylabel="utterances")
    for axes in (upper, lower):
        plain(axes)
    return figure


def slices(table: pd.DataFrame) -> Figure:
    """Weighted F1 of each slice with its interval, a panel per kind; see `slices.slices`."""
    kinds = list(table.groupby("by", sort=False))
    heights = [len(rows) + 1.3 for _, rows in kinds]
    figure = Figure(figsize=(WIDTH, 0.5 + 0.24 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(kinds), sharex=True, height_ratios=heights, squeeze=False).flat
    for axes, (kind, rows) in zip(panels, kinds, strict=True):
        _intervals(axes, rows, "weighted_f1")
        shown = [
            f"{short_name(str(name), LONGEST - 9)} ({count:,})"
            for name, count in zip(rows["slice"], rows["utterances"], strict=True)
        ]
        _names(axes, shown)
        axes.set_title(f"by {kind}", fontsize=9, loc="left")
        axes.set(xlim=(0, 100))
    figure.axes[-1].set(xlabel="weighted F1 (%), 95 % interval (utterances)")
    return figure


def history(losses: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Weighted F1 of each split and losses by epoch, a line per run; marks at chosen epochs.

    Args:
        losses: Columns fold, seed, epoch, and some of `LOSSES`.
        curves: See `tables.f1_curves`.
    """
    figure = Figure(figsize=(WIDTH, 6.2), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    for place, (split, dash) in enumerate(DASHES.items()):
        rows = curves[curves["split"] == split]
        _lines(upper, rows, "weighted_f1", split, color=COLOURS[place], linestyle=dash)
    chosen = curves[curves["chosen"] & (curves["split"] == "valid")]
    upper.plot(
        chosen["epoch"],
        chosen["weighted_f1"],
        linestyle="none",
        marker="o",
        color=COLOURS[1],
        markeredgecolor=INK,
        label="chosen on validation",
    )
    upper.set(ylabel="weighted F1 (%)", ylim=(0, 102))
    for place, (name, (label, dash)) in enumerate(LOSSES.items()):
        if name in losses:
            _lines(lower, losses, name, label, color=COLOURS[place], linestyle=dash)
    lower.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    for axes in (upper, lower):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", linewidth=0.6)
        axes.legend(fontsize=SMALL, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
        plain(axes)
    return figure


def largest_confusions(counts: np.ndarray, classes: Sequence[str]) -> Iterator[str]:
    """Say of each class that occurs how often it is right, and what it is mostly taken for."""
    for place, (name, row) in enumerate(zip(classes, counts, strict=True)):
        if row.sum():
            shares = 100 * row / row.sum()
            wrong = int(np.where(np.arange(len(row)) == place, -1, row).argmax())
            yield f"{name}: {shares[place]:.0f} % right, {shares[wrong]:.0f} % as {classes[wrong]}"


def _intervals(axes: Axes, rows: pd.DataFrame, name: str, label: str | None = None) -> None:
    """Draw a mark at each row's figure and a line over its interval, the first row on top."""
    heights = np.arange(len(rows))
    axes.hlines(heights, rows[f"{name}_low"], rows[f"{name}_high"], color=COLOURS[0], linewidth=1.4)
    axes.plot(
        rows[name],
        heights,
        linestyle="none",
        marker="o",
        markersize=4.5,
        color=COLOURS[0],
        markeredgecolor=INK,
        markeredgewidth=0.6,
        clip_on=False,
        zorder=3,
        label=label,
    )
    axes.grid(axis="x", linewidth=0.6)
    plain(axes)


def _names(axes: Axes, names: Sequence[str] | pd.Series) -> None:
    shown = [short_name(str(name), LONGEST) for name in names]
    axes.set_yticks(range(len(names)), shown, fontsize=SMALL)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL)


def _lines(axes: Axes, table: pd.DataFrame, name: str, label: str, **style: Any) -> None:
    """Draw a line per run, thinner where there are many."""
    runs = list(table.groupby(["fold", "seed"]))
    style |= {"linewidth": 1.2} if len(runs) <= MANY_RUNS else {"linewidth": 0.8, "alpha": 0.6}
    for number, (_, rows) in enumerate(runs):
        axes.plot(rows["epoch"], rows[name], label=None if number else label, **style)
