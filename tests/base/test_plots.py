"""Pictures of the same numbers: the same bytes as PNG, and an element of a page as SVG."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from pipeline.base.plots import COLOURS, INK, save, svg

VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def figure() -> Figure:
    drawn = Figure(figsize=(3, 2), layout="constrained")
    axes = drawn.subplots()
    axes.plot(
        [0, 1], [0, 1], marker="o", color=COLOURS[0], markeredgecolor=INK, label="$a$ <b>\x01"
    )
    axes.legend()
    axes.grid()
    return drawn


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        save(figure(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert np.ptp(imread(tmp_path / "one", format="png")) > 0.5
    assert svg(figure(), "one", "T") == svg(figure(), "one", "T")


def test_ids_are_the_figures_own() -> None:
    texts = {name: svg(figure(), name, "T") for name in ("one", "two")}
    ids = {name: set(re.findall(r' id="([^"]+)"', text)) for name, text in texts.items()}
    assert ids["one"] and not ids["one"] & ids["two"]
    for link in re.findall(r'(?:xlink:href="|url\()#([^")]+)', texts["one"]):
        assert link in ids["one"]


def test_every_colour_is_one_of_the_page() -> None:
    text = svg(figure(), "one", "T")
    assert not re.search(r"#[0-9a-f]{6}", text) and "font-family" not in text
    assert {"ink", "rule", "series-0"} == set(VARIABLE.findall(text))
    assert "<style" not in text and "<?xml" not in text, "a style would be the whole page's"
    assert "width=" not in text[:300] and "height=" not in text[:300]


def test_words_stay_words_and_names_stay_as_they_are() -> None:
    text = svg(figure(), "one", 'T < t & "q"')
    assert re.search(r">\$a\$ &lt;b&gt;.?</text>", text)
    assert 'aria-label="T &lt; t &amp; &quot;q&quot;"' in text


@pytest.mark.parametrize("key", ["text.parse_math", "svg.fonttype"])
def test_a_users_matplotlibrc_changes_no_picture(key: str) -> None:
    assert matplotlib.rcParams[key] in (False, "none")
