"""Figures as SVG inside a page."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from pipeline.report import plots
from pipeline.report.blocks import Figure
from pipeline.report.svg import inline

VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def svg(name: str, draw: Callable[[], Canvas]) -> str:
    return inline(Figure(name, "T < t", "D & d", None, draw))


def confusion() -> Canvas:
    return plots.confusion(np.array([[3.0, 1.0], [0.0, 0.0]]), ("$a$", "<b>\x01"))


def by_model() -> Canvas:
    rows = [(group, model, 50.0, 40.0, 60.0) for group in ("a", "b") for model in ("x", "y")]
    table = pd.DataFrame(rows, columns=["group", "model", "value", "low", "high"])
    return plots.by_model(table, "F1 (%)")


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert svg("one", by_model) == svg("one", by_model)


def test_ids_are_the_figures_own() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', svg(name, by_model))) for name in ("one", "two")]
    assert ids[0] and not ids[0] & ids[1]
    text = svg("one", by_model)
    for link in re.findall(r'(?:xlink:href="|url\()#([^")]+)', text):
        assert f' id="{link}"' in text


@pytest.mark.parametrize("draw", [confusion, by_model])
def test_every_colour_is_one_of_the_page(draw: Callable[[], Canvas]) -> None:
    text = svg("one", draw)
    assert not re.search(r"#[0-9a-f]{6}", text) and "font-family" not in text
    assert {"ink"} < set(VARIABLE.findall(text))
    assert "<style" not in text and "<?xml" not in text, "a style would be the whole page's"


def test_models_differ_in_more_than_colour() -> None:
    text = svg("one", by_model)
    marks = re.findall(r'<path id="one-m[^"]*" d="([^"]+)"', text)
    lengths = {len(mark.split()) for mark in marks}
    assert len(lengths) > 2, "ticks, and a mark of its own for each model"


def test_words_stay_words_and_names_stay_as_they_are() -> None:
    text = svg("one", confusion)
    assert ">$a$</text>" in text and ">&lt;b&gt; </text>" in text
    assert ">75</text>" in text and ">25</text>" in text
    assert text.count(">0</text>") == 2, "a class that does not occur has an empty row"
    assert '<title id="one-title">T &lt; t</title>' in text
    assert '<desc id="one-desc">D &amp; d</desc>' in text
    assert 'aria-labelledby="one-title one-desc"' in text and "width=" not in text[:300]
