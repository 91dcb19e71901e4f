"""The curves of a corpus as a figure: a row for each modality, a panel for each corruption."""

from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.base.plots import COLOURS, INK, plain
from pipeline.corruption.corruptions import Corruption
from pipeline.corruption.curves import Robustness
from pipeline.experiments.rows import WEIGHTED
from pipeline.systems.registry import title

PANEL = (3.1, 2.5)  # inches
MARKS = "osD^vPX*<>"
INTERVAL = "95 % interval"


def figure(robustness: Robustness) -> Figure:
    """Weighted F1 by step, a line for each system, with 95 % bands where there is one system.

    A system that does not read a modality is a dotted line: its clean score.
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
    drawn.suptitle(f"{robustness.corpus}, test: one modality made worse, systems as trained")
    return drawn


def _panel(axes: Axes, corruption: Corruption, robustness: Robustness) -> None:
    levels = robustness.steps[corruption]
    places = range(len(levels) + 1)
    for number, system in enumerate(robustness.clean):
        colour = COLOURS[number % len(COLOURS)]
        points = [row.figures[WEIGHTED] for row in robustness.rows[system, corruption]]
        values = [point.value for point in points]
        if len(points) == 1:
            axes.plot(places, values * len(places), color=colour, ls=":", label=title(system))
            continue
        mark = MARKS[number % len(MARKS)]
        axes.plot(places, values, color=colour, marker=mark, markersize=5, label=title(system))
        if len(robustness.clean) == 1:
            low, high = [point.low for point in points], [point.high for point in points]
            axes.fill_between(places, low, high, color=colour, alpha=0.2, lw=0, label=INTERVAL)
            axes.axhline(values[0], color=INK, ls="--", lw=1, label="clean")
    axes.set_xticks(places, ["none", *(f"{level:g}" for level in levels)])
    axes.set_xlabel(corruption.unit)
    axes.set_title(f"{corruption.modality}: {corruption.name}", fontsize=10)
    plain(axes)
