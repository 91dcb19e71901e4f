"""Figures as inline SVG that takes the page's font and follows its light or dark colours.

matplotlib draws with one set of colours. Here each role has a placeholder colour, which is then
replaced by a CSS variable that the page defines for both schemes.
"""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib
from matplotlib.figure import Figure as Canvas

from pipeline.base.plots import COLOURS, any_letter
from pipeline.report.blocks import Figure

INK, FAINT, HEAT = "#010101", "#020202", "#030303"
WIDTH = 5.2  # inches; narrow enough for readable text on a phone
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--rule)",
    HEAT: "var(--heat)",
    **{colour.lower(): f"var(--series-{place})" for place, colour in enumerate(COLOURS)},
}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.8,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{XLINK}}}href"
COLOUR = re.compile(r"#[0-9a-f]{6}")
FONT = re.compile(r"font-family:[^;]*;?")
LINK = re.compile(r"url\(#")


def inline(figure: Figure) -> str:
    """Draw a figure as an `svg` element with a title and a description for screen readers.

    The same figure gives the same bytes; ids are unique to the figure.
    """
    root = ET.fromstring(_draw(figure.name, figure.draw))
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _adapt(element, figure.name)
    _describe(root, figure)
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")


def _draw(name: str, draw: Callable[[], Canvas]) -> bytes:
    style: Any = STYLE | {"svg.hashsalt": name}
    with matplotlib.rc_context(), any_letter():
        matplotlib.rcParams.update(style)
        file = io.BytesIO()
        draw().savefig(file, format="svg", metadata=NO_METADATA)
    return file.getvalue()


def _adapt(element: ET.Element, name: str) -> None:
    """Prefix ids and links with the figure's name, turn colours into variables, drop fonts."""
    for key, text in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{text}")
        elif key == HREF:
            element.set(key, f"#{name}-{text.removeprefix('#')}")
        elif key in ("style", "fill", "stroke", "clip-path"):
            text = LINK.sub(f"url(#{name}-", FONT.sub("", text))
            element.set(key, COLOUR.sub(lambda match: VARIABLES.get(match[0], match[0]), text))


def _describe(root: ET.Element, figure: Figure) -> None:
    for key in ("width", "height"):
        del root.attrib[key]
    texts = {"title": figure.title, "desc": figure.description}
    for place, (tag, text) in enumerate(texts.items()):
        element = ET.Element(f"{{{SVG}}}{tag}", {"id": f"{figure.name}-{tag}"})
        element.text = text
        root.insert(place, element)
    labels = " ".join(f"{figure.name}-{tag}" for tag in texts)
    root.attrib.update({"role": "img", "aria-labelledby": labels})
