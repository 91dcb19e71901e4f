"""The curves of a corpus as a picture: a row for each modality, a panel for each corruption."""

from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.base.plots import COLOURS, plain, save
from pipeline.corruption.curves import Curve, Robustness

PANEL = (3.1, 2.5)  # inches
# By modality, so that a row is told by more than its place; each has a mark of its own too.
MARKS = {"text": (COLOURS[0], "o"), "audio": (COLOURS[4], "s"), "visual": (COLOURS[2], "^")}


def draw(path: Path, robustness: Robustness) -> None:
    """Draws weighted F1 by step, with 95 % bands, beside the clean score and the majority class.

    Args:
        path: Where to.
        robustness: What was measured.
    """
    rows = [list(group) for _, group in groupby(robustness.curves, lambda c: c.corruption.modality)]
    columns = max(len(row) for row in rows)
    size = (PANEL[0] * columns, PANEL[1] * len(rows) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(rows), columns, sharey=True, squeeze=False)
    for row, curves in zip(panels, rows, strict=True):
        for axes in row[len(curves) :]:
            axes.set_visible(False)
        for axes, curve in zip(row, curves, strict=False):
            _panel(axes, curve, robustness)
        row[0].set_ylabel("weighted F1 (%)")
    panels[0, 0].set_ylim(bottom=0)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle(f"{robustness.corpus}, test: one modality made worse, models as trained")
    save(figure, path)


def _panel(axes: Axes, curve: Curve, robustness: Robustness) -> None:
    corruption = curve.corruption
    colour, mark = MARKS[corruption.modality]
    scores = [robustness.clean, *(point.score for point in curve.points)]
    places = range(len(scores))
    low, high = [score.low for score in scores], [score.high for score in scores]
    axes.fill_between(places, low, high, color=colour, alpha=0.2, lw=0, label="95 % interval")
    values = [score.value for score in scores]
    axes.plot(places, values, color=colour, marker=mark, label="corrupted, mean over seeds")
    axes.axhline(robustness.clean.value, color="black", ls="--", lw=1, label="clean")
    axes.axhline(robustness.majority, color="grey", ls=":", lw=1.5, label="majority class")
    axes.set_xticks(places, ["none", *(f"{point.level:g}" for point in curve.points)])
    axes.set_xlabel(corruption.unit)
    axes.set_title(f"{corruption.modality}: {corruption.name}", fontsize=10)
    plain(axes)
