"""The curves of a corpus as a figure: lines of few systems, a table of colours of many."""

from itertools import accumulate, groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pipeline.base.plots import COLOURS, HEAT, INK, plain
from pipeline.corruption.corruptions import Corruption
from pipeline.corruption.curves import Robustness
from pipeline.experiments.rows import WEIGHTED
from pipeline.systems.registry import title

PANEL = (3.1, 2.5)  # inches
CELL = (0.33, 0.19)  # inches
MARKS = "osD^vPX"
INTERVAL = "95 % interval"
LEGEND = {
    True: "A dotted line: the system does not read the modality.",
    False: "The darker, the higher; the best clean score comes first. An empty cell: the system "
    "does not read the modality.",
}


def in_lines(robustness: Robustness) -> bool:
    """Whether each system is a line with a colour of its own."""
    return len(robustness.clean) <= len(COLOURS)


def figure(robustness: Robustness) -> Figure:
    """Weighted F1 by system, corruption and step."""
    drawn = _lines(robustness) if in_lines(robustness) else _cells(robustness)
    drawn.suptitle(f"{robustness.corpus}, test: one modality made worse, systems as trained")
    return drawn


def _cells(robustness: Robustness) -> Figure:
    """A row for each system, a cell for each step."""
    clean = {name: row.figures[WEIGHTED].value for name, row in robustness.clean.items()}
    systems = sorted(clean, key=lambda name: -clean[name])
    values = np.array([_row_of(robustness, name) for name in systems])
    width, height = CELL[0] * values.shape[1] + 3.4, CELL[1] * len(systems) + 1.9
    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.subplots()
    colours = LinearSegmentedColormap.from_list("scores", ["#ffffff", HEAT])
    axes.imshow(values, cmap=colours, vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7)
    axes.set_yticks(range(len(systems)), [title(name) for name in systems], fontsize=8)
    steps = [f"{level:g}" for levels in robustness.steps.values() for level in levels]
    axes.set_xticks(range(values.shape[1]), ["clean", *steps], rotation=90, fontsize=7)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    ends = list(accumulate((len(levels) for levels in robustness.steps.values()), initial=0))
    for corruption, start, end in zip(robustness.steps, ends, ends[1:], strict=False):
        axes.axvline(start + 0.5, color=INK, lw=1)
        words = f"{corruption.modality}:\n{corruption.name}\n({corruption.unit})"
        axes.text((start + end + 1) / 2, len(systems), words, ha="center", va="top", fontsize=7)
    return drawn


def _row_of(robustness: Robustness, system: str) -> list[float]:
    """Scores, the clean one first; NaN for steps of what the system does not read."""
    values = [robustness.clean[system].figures[WEIGHTED].value]
    for corruption, levels in robustness.steps.items():
        points = robustness.rows[system, corruption][1:]
        values += [point.figures[WEIGHTED].value for point in points] or [np.nan] * len(levels)
    return values


def _lines(robustness: Robustness) -> Figure:
    """A row for each modality, a panel for each corruption, a line for each system.

    A system that does not read a modality is a dotted line: its clean score. Where there is one
    system, bands are its 95 % intervals.
    """
    rows = [list(group) for _, group in groupby(robustness.steps, lambda c: c.modality)]
    columns = max(len(row) for row in rows)
    size = (PANEL[0] * columns, PANEL[1] * len(rows) + 0.9)
    drawn = Figure(figsize=size, layout="constrained")
    panels = drawn.subplots(len(rows), columns, sharey=True, squeeze=False)
    for row, corruptions in zip(panels, rows, strict=True):
        for axes in row[len(corruptions) :]:
            axes.set_visible(False)
        for axes, corruption in zip(row, corruptions, strict=False):
            _panel(axes, corruption, robustness)
        row[0].set_ylabel("weighted F1 (%)")
    panels[0, 0].set_ylim(bottom=0)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return drawn


def _panel(axes: Axes, corruption: Corruption, robustness: Robustness) -> None:
    levels = robustness.steps[corruption]
    places = range(len(levels) + 1)
    for number, system in enumerate(robustness.clean):
        colour, mark = COLOURS[number], MARKS[number]
        points = [row.figures[WEIGHTED] for row in robustness.rows[system, corruption]]
        values = [point.value for point in points]
        if len(points) == 1:
            axes.plot(places, values * len(places), color=colour, ls=":", label=title(system))
            continue
        axes.plot(places, values, color=colour, marker=mark, markersize=5, label=title(system))
        if len(robustness.clean) == 1:
            low, high = [point.low for point in points], [point.high for point in points]
            axes.fill_between(places, low, high, color=colour, alpha=0.2, lw=0, label=INTERVAL)
            axes.axhline(values[0], color=INK, ls="--", lw=1, label="clean")
    axes.set_xticks(places, ["none", *(f"{level:g}" for level in levels)])
    axes.set_xlabel(corruption.unit)
    axes.set_title(f"{corruption.modality}: {corruption.name}", fontsize=10)
    plain(axes)
