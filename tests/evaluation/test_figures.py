"""Figures show names as they are, whatever they hold, and what readers look for."""

import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.base.plots import svg
from pipeline.evaluation import figures

NAMES = ("$", "$\\frac$", "a $x^2$ b", "\x00\r\n\x1b[31m", "x" * 10**5, "日本 \u202e", "_", "\\")
ENDS = {"_low": 40.0, "": 50.0, "_high": 60.0}
CURVES = pd.DataFrame(
    [
        (0, seed, epoch, split, 10.0 * epoch, epoch == 2 + seed)
        for seed in (0, 1)
        for epoch in (1, 2, 3)
        for split in ("train", "valid", "test")
    ],
    columns=["fold", "seed", "epoch", "split", "weighted_f1", "chosen"],
)


def table(names: tuple[str, ...], column: str, figure: str) -> pd.DataFrame:
    return pd.DataFrame({column: names}).assign(**{f"{figure}{k}": v for k, v in ENDS.items()})


def all_figures(names: tuple[str, ...]) -> dict[str, Figure]:
    board = table(names, "title", "weighted_f1")
    classes = pd.concat(
        [table(("x", *names), "title", "f1").assign(**{"class": name}) for name in names]
    )
    slices = pd.concat(
        [table(names, "slice", "weighted_f1").assign(by=by, utterances=3) for by in ("s", names[0])]
    )
    return {
        "board": figures.leaderboard(board, names[-1]),
        "classes": figures.by_class(classes),
        "confusion": figures.confusion(np.eye(len(names)), names),
        "slices": figures.slices(slices),
    }


@pytest.mark.slow
def test_no_name_is_mathematics_or_breaks_a_figure() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, figure in all_figures(NAMES).items():
            drawn = svg(figure, name, "<b> & \"'")
            assert ">$</text>" in drawn or ">$ (3)</text>" in drawn
            assert "\\frac$" in drawn and "x" * 30 not in drawn
            assert not set("\x00\r\x1b") & set(drawn)
            assert max(figure.get_size_inches()) < 20


def test_every_end_of_every_interval_can_be_seen() -> None:
    """Lines from end to end, over which a mark lies; no bar hides the lower half."""
    for axes in all_figures(("one", "other"))["classes"].axes:
        if axes.get_visible():
            (lines,) = axes.collections
            ends = [segment[:, 0].tolist() for segment in lines.get_segments()]
            assert ends == [[40.0, 60.0]] * 3
            assert not axes.patches


def legend(axes: Axes) -> list[str]:
    drawn = axes.get_legend()
    assert drawn is not None
    return [text.get_text() for text in drawn.get_texts()]


def test_the_chosen_epochs_are_marked() -> None:
    losses = CURVES[["fold", "seed", "epoch"]].drop_duplicates().assign(train_total=1.0)
    upper, lower = figures.history(losses, CURVES).axes
    assert legend(upper) == ["train", "valid", "test", "chosen on validation"]
    (marks,) = [line for line in upper.lines if line.get_label() == "chosen on validation"]
    assert marks.get_xydata().tolist() == [[2, 20], [3, 30]], "one of each run"
    assert legend(lower) == ["train, all terms"], "a loss that a system lacks is not drawn"


def test_a_reliability_curve_says_what_its_diagonal_is() -> None:
    bins = pd.DataFrame({"low": [0.5], "high": [0.6], "confidence": [0.55], "accuracy": [0.4]})
    upper, _ = figures.reliability(bins.assign(utterances=3)).axes
    assert legend(upper) == ["perfectly calibrated", "observed"]


def test_confusions_in_words() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [1, 1, 2]])
    assert list(figures.largest_confusions(counts, "abc")) == [
        "a: 75 % right, 25 % as b",
        "c: 50 % right, 25 % as a",
    ]


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_any_number_of_classes_has_a_panel_each(classes: int) -> None:
    figure = all_figures(tuple("abc"[:classes]))["classes"]
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == list("abc"[:classes])
