"""The figures of a corpus' page, drawn once for its folder of PNG files and for the page itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import pandas as pd
from matplotlib.figure import Figure

from pipeline.base.display import short_name
from pipeline.evaluation import figures
from pipeline.evaluation.scores import reliability
from pipeline.evaluation.tables import confusions_of
from pipeline.report import paper
from pipeline.report.read import Results, SystemResults


@dataclass(frozen=True)
class Picture:
    """A figure, drawn when it is asked for.

    Attributes:
        name: Unique within the page.
        title: What stands above it.
        words: What it shows, for who does not see it.
        draw: Draws it.
    """

    name: str
    title: str
    words: str
    draw: Callable[[], Figure]

    @property
    def description(self) -> str:
        """Title and words."""
        return f"{self.title}: {self.words}"

    @cached_property
    def figure(self) -> Figure:
        """The figure with its title."""
        drawn = self.draw()
        drawn.suptitle(self.title, x=0.01, ha="left", fontsize=9.5, fontweight="bold", wrap=True)
        return drawn


def pictures(results: Results) -> Iterator[Picture]:
    """The figures of the leaderboard and the classes, then those of each system."""
    where, order = f"on {results.corpus}, test", list(results.protocol.classes)
    parts = [s.classes.assign(title=s.about["title"]) for s in results.systems]
    classes = pd.concat(parts).sort_values("class", key=lambda c: c.map(order.index), kind="stable")
    yield Picture(
        "leaderboard",
        f"Systems {where}",
        "weighted F1 with its interval; the table above holds the same figures",
        partial(figures.leaderboard, results.leaderboard, results.reference),
    )
    yield Picture(
        "classes",
        f"F1 by class {where}",
        "a panel per class with a mark and an interval per system",
        partial(figures.by_class, classes),
    )
    beside = paper.beside(paper.read_paper(), results)
    if len(beside):
        yield Picture(
            paper.PUBLISHED,
            f"Published and measured {where}",
            "weighted F1 as printed by each source and as measured, by the highest published one",
            partial(figures.published, beside, paper.sources(beside)),
        )
    for system in results.systems:
        yield from _of_system(results, system, f"{short_name(system.about['title'])} {where}")


def _of_system(results: Results, system: SystemResults, title: str) -> Iterator[Picture]:
    test_set, predictions = results.predictions.test_set, system.predictions
    counts = confusions_of(test_set, predictions)
    yield Picture(
        f"{system.name}-confusion",
        f"Confusions of {title}",
        "; ".join(figures.largest_confusions(counts, test_set.classes)),
        partial(figures.confusion, counts, test_set.classes),
    )
    if predictions.probabilities is not None:
        bins = reliability(test_set.actual, predictions.probabilities)
        yield Picture(
            f"{system.name}-reliability",
            f"Calibration of {title}: expected error {system.metrics['test']['ece']:.1f} %",
            "accuracy by the probability of the predicted class, and how often that occurs",
            partial(figures.reliability, bins),
        )
    yield Picture(
        f"{system.name}-slices",
        f"Slices, {title}",
        "weighted F1 with its interval; the table below holds the same figures",
        partial(figures.slices, system.slices),
    )
    if system.curves is not None and system.history is not None:
        yield Picture(
            f"{system.name}-history",
            f"Training of {title}".removesuffix(", test"),
            "weighted F1 of each split and losses by epoch, a line per run",
            partial(figures.history, system.history, system.curves),
        )
