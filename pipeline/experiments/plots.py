"""A recipe's plot: a panel for each corpus and system, a mark for each variant, and its seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.base.display import short_name
from pipeline.base.plots import COLOURS, plain, save

PLAIN, MARKED, GREY, FAINT = COLOURS[0], COLOURS[4], "#555555", "#dddddd"
NARROWEST = 5.4  # inches, that the legend fits
IN_A_ROW = 4  # panels at most
BESIDE = 0.22  # where the seeds stand beside a point, in steps between points
SEEDS: dict[str, Any] = {"color": GREY, "linestyle": "", "marker": ".", "markersize": 4}


@dataclass(frozen=True)
class Mark:
    """A variant's place in the plot, in percent.

    Attributes:
        name: Of the variant, or its number on the axis.
        value: Mean over seeds.
        by_seed: Each seed's.
        interval: Ends of the 95 % interval; None where there is none.
        marked: Whether it stands out: the reference, or what was chosen.
        joined: Whether a line joins it with the others on an axis: it has a number.
    """

    name: str
    value: float
    by_seed: Sequence[float]
    interval: tuple[float, float] | None
    marked: bool
    joined: bool = False


@dataclass(frozen=True)
class Panel:
    """The part of a corpus and system; the marks have the same names in every panel."""

    title: str
    marks: Sequence[Mark]


def draw(
    path: Path, panels: Sequence[Panel], measured: str, marked: str, axis: str | None = None
) -> None:
    """Draw the panels side by side, in rows where there are many.

    Args:
        path: Where to, a PNG.
        panels: One per corpus and system.
        measured: What the points are, with its unit.
        marked: What the one that stands out is.
        axis: What varies from left to right, evenly spaced, if that is a number; else variants
            stand one below the other.
    """
    names = [short_name(mark.name, 40) for mark in panels[0].marks]
    wide, high = (3.6, 3.4) if axis else (3.2, 1.4 + 0.34 * len(names))
    margin = 0.6 if axis else 0.5 + 0.08 * max(map(len, names))
    columns = min(len(panels), IN_A_ROW)
    rows = math.ceil(len(panels) / columns)
    size = (max(NARROWEST, margin + wide * columns), high * rows)
    figure = Figure(figsize=size, layout="constrained")
    subplots = figure.subplots(rows, columns, squeeze=False, sharey=axis is None).flat
    for axes in subplots[len(panels) :]:
        axes.remove()
    for axes, panel in zip(subplots, panels, strict=False):
        _draw_marks(axes, panel.marks, lying=axis is None)
        if axis:
            joined = [mark.value for mark in panel.marks if mark.joined]
            axes.plot(range(len(joined)), joined, color=PLAIN, linewidth=1)
            axes.set_xticks(range(len(names)), names)
            axes.set(xlabel=f"{axis} (evenly spaced)", xlim=(-0.5, len(names) - 0.5))
        else:
            axes.set_yticks(range(len(names)), names)
            axes.set(xlabel=measured, ylim=(len(names) - 0.5, -0.5))
        axes.set_title(panel.title, fontsize=10)
        axes.set_axisbelow(True)
        plain(axes)
    if axis:
        subplots[0].set_ylabel(measured)
    _draw_legend(figure, subplots[0], marked, interval=panels[0].marks[0].interval is not None)
    save(figure, path)


def _draw_marks(axes: Axes, marks: Sequence[Mark], *, lying: bool) -> None:
    def put(place: float, figures: Sequence[float], **style: Any) -> None:
        places = [place] * len(figures)
        axes.plot(*((figures, places) if lying else (places, figures)), **style)

    axes.grid(axis="x" if lying else "y", color=FAINT, linewidth=0.6)
    for place, mark in enumerate(marks):
        style = _point(mark.marked)
        put(place + BESIDE, mark.by_seed, **SEEDS)
        put(place, mark.interval or (), color=style["color"], linewidth=2, alpha=0.6)
        put(place, [mark.value], **style)
        if mark.marked:
            line = axes.axvline if lying else axes.axhline
            line(mark.value, color=MARKED, linestyle=":", linewidth=1, zorder=0)


def _point(marked: bool) -> dict[str, Any]:
    if marked:
        return {"color": MARKED, "linestyle": "", "marker": "D", "markersize": 7}
    return {"color": PLAIN, "linestyle": "", "marker": "o", "markersize": 6}


def _draw_legend(figure: Figure, axes: Axes, marked: str, *, interval: bool) -> None:
    """Say what the shapes mean; the lines that it shows are drawn nowhere."""
    mean = "mean over seeds, 95 % interval" if interval else "mean over seeds"
    lines = [
        *axes.plot([], [], **{**_point(False), "linestyle": "-" if interval else ""}, label=mean),
        *axes.plot([], [], **SEEDS, label="one seed"),
        *axes.plot([], [], **_point(True), label=marked),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
