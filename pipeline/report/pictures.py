"""The figures of a corpus' page, drawn once for its folder of PNG files and for the page itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from pipeline.evaluation import figures
from pipeline.evaluation.scores import reliability
from pipeline.evaluation.tables import confusions_of
from pipeline.report.read import Results, SystemResults


@dataclass(frozen=True)
class Picture:
    """A figure with its name, unique in the page, and a description for who does not see it."""

    name: str
    description: str
    figure: Figure


def pictures(results: Results) -> Iterator[Picture]:
    """Draw all figures: of the leaderboard, of the classes, then of each system."""
    where = f"on {results.corpus}, test"
    yield _titled(
        "leaderboard",
        f"Systems {where}",
        "weighted F1 with its interval; the table above holds the same figures",
        figures.leaderboard(results.leaderboard, results.reference),
    )
    parts = [s.classes.assign(title=s.about["title"]) for s in results.systems]
    classes = pd.concat(parts).sort_values("class", key=_order(results), kind="stable")
    yield _titled(
        "classes",
        f"F1 by class {where}",
        "a panel per class with a mark and an interval per system",
        figures.by_class(classes),
    )
    for system in results.systems:
        yield from _of_system(results, system, f"{system.about['title']} {where}")


def _of_system(results: Results, system: SystemResults, title: str) -> Iterator[Picture]:
    test_set, predictions = results.predictions.test_set, system.predictions
    counts = confusions_of(test_set, predictions)
    yield _titled(
        f"{system.name}-confusion",
        f"Confusions of {title}",
        "; ".join(figures.largest_confusions(counts, test_set.classes)),
        figures.confusion(counts, test_set.classes),
    )
    if predictions.probabilities is not None:
        bins = reliability(test_set.actual, predictions.probabilities)
        yield _titled(
            f"{system.name}-reliability",
            f"Calibration of {title}: expected error {system.metrics['test']['ece']:.1f} %",
            "accuracy by the probability of the predicted class, and how often that occurs",
            figures.reliability(bins),
        )
    yield _titled(
        f"{system.name}-slices",
        f"Slices, {title}",
        "weighted F1 with its interval; the table below holds the same figures",
        figures.slices(system.slices),
    )
    if system.curves is not None and system.history is not None:
        yield _titled(
            f"{system.name}-history",
            f"Training of {title}".removesuffix(", test"),
            "weighted F1 of each split and losses by epoch, a line per run",
            figures.history(system.history, system.curves),
        )


def _titled(name: str, title: str, description: str, figure: Figure) -> Picture:
    figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold", wrap=True)
    return Picture(name, f"{title}: {description}", figure)


def _order(results: Results) -> Callable[[pd.Series], pd.Series]:
    places = {name: place for place, name in enumerate(results.protocol.classes)}
    return lambda names: names.map(places)
