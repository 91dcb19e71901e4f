"""A recipe's plot: a panel for each corpus, a point for each variant, with interval and seeds."""

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
BESIDE = 0.22  # where the seeds stand beside a point, in steps between points


@dataclass(frozen=True)
class Mark:
    """A variant's place in the plot, in percent.

    Attributes:
        name: Of the variant, or its number on the axis.
        value: Mean over seeds.
        by_seed: Each seed's.
        interval: Ends of the 95 % interval; None where there is none.
        marked: Whether it stands out: the reference, or what was chosen.
    """

    name: str
    value: float
    by_seed: Sequence[float]
    interval: tuple[float, float] | None
    marked: bool


@dataclass(frozen=True)
class Panel:
    """A corpus' part of the plot.

    Attributes:
        corpus: Its title.
        marks: In order; the same names in every panel.
    """

    corpus: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Along:
    """An axis of numbers.

    Attributes:
        label: What varies.
        joined: How many of the marks, from the first, have a number; those are joined.
    """

    label: str
    joined: int


def draw(
    path: Path, panels: Sequence[Panel], measured: str, marked: str, along: Along | None = None
) -> None:
    """Draws the panels side by side.

    Args:
        path: Where to, a PNG.
        panels: One per corpus.
        measured: What the points are, with its unit.
        marked: What the one that stands out is.
        along: What varies from left to right, evenly spaced, if that is a number; else variants
            stand one below the other.
    """
    names = [short_name(mark.name, 40) for mark in panels[0].marks]
    wide, high = (3.6, 3.4) if along else (3.2, 1.4 + 0.34 * len(names))
    margin = 0.6 if along else 0.5 + 0.08 * max(map(len, names))
    figure = Figure(
        figsize=(max(NARROWEST, margin + wide * len(panels)), high), layout="constrained"
    )
    subplots = figure.subplots(1, len(panels), squeeze=False, sharey=along is None)[0]
    for axes, panel in zip(subplots, panels, strict=True):
        _marks(axes, panel.marks, lying=along is None)
        if along:
            _join(axes, panel.marks[: along.joined])
            axes.set_xticks(range(len(names)), names)
            axes.set(xlabel=along.label, xlim=(-0.5, len(names) - 0.5))
        else:
            axes.set_yticks(range(len(names)), names)
            axes.set(xlabel=measured, ylim=(len(names) - 0.5, -0.5))
        axes.set_title(panel.corpus, fontsize=10)
        axes.set_axisbelow(True)
        plain(axes)
    if along:
        subplots[0].set_ylabel(measured)
    _legend(figure, subplots[0], marked, panels[0].marks)
    save(figure, path)


def _marks(axes: Axes, marks: Sequence[Mark], *, lying: bool) -> None:
    def put(place: float, figures: Sequence[float], **style: Any) -> None:
        places = [place] * len(figures)
        axes.plot(*((figures, places) if lying else (places, figures)), **style)

    axes.grid(axis="x" if lying else "y", color=FAINT, linewidth=0.6)
    for place, mark in enumerate(marks):
        put(place + BESIDE, mark.by_seed, **_seeds())
        put(place, mark.interval or (), color=_colour(mark.marked), linewidth=2, alpha=0.6)
        put(place, [mark.value], **_point(mark.marked))
        if mark.marked:
            line = axes.axvline if lying else axes.axhline
            line(mark.value, color=MARKED, linestyle=":", linewidth=1, zorder=0)


def _join(axes: Axes, marks: Sequence[Mark]) -> None:
    axes.plot(range(len(marks)), [mark.value for mark in marks], color=PLAIN, linewidth=1)


def _colour(marked: bool) -> str:
    return MARKED if marked else PLAIN


def _point(marked: bool) -> dict[str, Any]:
    shape = {"marker": "D", "markersize": 7} if marked else {"marker": "o", "markersize": 6}
    return {"color": _colour(marked), "linestyle": "", **shape}


def _seeds() -> dict[str, Any]:
    return {"color": GREY, "linestyle": "", "marker": ".", "markersize": 4}


def _legend(figure: Figure, axes: Axes, marked: str, marks: Sequence[Mark]) -> None:
    """Says what the shapes mean; the lines that it shows are drawn nowhere."""
    interval = any(mark.interval for mark in marks)
    mean = "mean over seeds, 95 % interval" if interval else "mean over seeds"
    lines = [
        *axes.plot([], [], **{**_point(False), "linestyle": "-" if interval else ""}, label=mean),
        *axes.plot([], [], **_seeds(), label="one seed"),
        *axes.plot([], [], **_point(True), label=marked),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
