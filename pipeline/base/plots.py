"""What all pictures have in common: colours, plain axes, and PNG files with reproducible bytes."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.base.files import replacing

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")


def plain(axes: Axes) -> None:
    """Takes away the frame's lines that carry nothing."""
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG; without a version or a date inside, the same numbers give the same bytes."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
