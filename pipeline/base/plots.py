"""What all pictures have in common: plain text, colours, plain axes, reproducible PNG files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.base.files import replacing

# Names are text, never mathematics (`$`); and no matplotlibrc of a user's changes a picture.
matplotlib.rcdefaults()
matplotlib.rcParams["text.parse_math"] = False
# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")


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
    """Writes a PNG; without a version or a date inside, the same numbers give the same bytes."""
    with replacing(path) as part, any_letter():
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
