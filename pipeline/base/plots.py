"""What all pictures have in common: plain text, colours, plain axes, reproducible bytes."""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pipeline.base.files import replacing

DOTS = 110  # an inch
KEPT_COLOURS = 64  # of a PNG: a quarter of its bytes, and no eye sees it
INK, FAINT, HEAT = "#1c2024", "#d5d9dc", "#9ccbe8"
# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
# Names are text, never mathematics (`$`); and no matplotlibrc of a user's changes a picture.
matplotlib.rcdefaults()
matplotlib.rcParams.update(
    {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "axes.axisbelow": True,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": FAINT,
        "legend.frameon": False,
    }
)
# In a page, colours are variables that it defines for its light and its dark scheme.
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--rule)",
    HEAT: "var(--heat)",
    **{colour.lower(): f"var(--series-{place})" for place, colour in enumerate(COLOURS)},
}
ID = re.compile(r"(?<=[\"#])[a-z][0-9a-f]{10}(?=[\")])")
COLOUR = re.compile("|".join(VARIABLES))
# What would act on the whole page, fix a size or a font, or number parts alike in each picture.
FOREIGN = re.compile(
    r"<metadata>.*?</metadata>|<style .*?</style>|(?<=<g) id=\"[^\"]*\"|font-family: '[^;\"]*; "
    r"| (?:width|height)=\"[^\"]*pt\"",
    re.DOTALL,
)


def plain(axes: Axes) -> None:
    """Takes away the frame's lines that carry nothing."""
    axes.spines[["top", "right"]].set_visible(False)


@contextmanager
def any_letter() -> Iterator[None]:
    """Draw letters that the font lacks as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of few colours, for git keeps it; the same numbers give the same bytes."""
    drawn = io.BytesIO()
    with any_letter():
        _lay_out(figure)
        figure.savefig(drawn, format="png", dpi=DOTS)
    few = Image.open(drawn).convert("RGB").quantize(KEPT_COLOURS, dither=Image.Dither.NONE)
    with replacing(path) as part:
        few.save(part, format="PNG", optimize=True)


def _lay_out(figure: Figure) -> None:
    """Give the parts their places once: a figure with a layout engine is drawn twice each time."""
    figure.set_dpi(DOTS)
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine(None)


def svg(figure: Figure, name: str, title: str) -> str:
    """Draw a figure as an `svg` element for a page, in that page's font and colours.

    Args:
        figure: What to draw.
        name: Unique within the page: ids of different figures differ by it.
        title: What a screen reader says of it.
    """
    file, ids = io.StringIO(), dict[str, str]()
    with any_letter():
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    whole = file.getvalue()
    drawn = FOREIGN.sub("", re.sub(r"\n\s*", " ", whole[whole.index("<svg") :]))
    drawn = COLOUR.sub(lambda colour: VARIABLES[colour[0]], drawn)
    # matplotlib's ids are digests of numbers whose last bits vary.
    drawn = ID.sub(lambda found: ids.setdefault(found[0], f"{name}-{len(ids)}"), drawn)
    return f'<svg role="img" aria-label="{html.escape(title)}"{drawn.removeprefix("<svg")}'
