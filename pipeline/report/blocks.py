"""The report's content model: sections of paragraphs, tables and figures.

Texts are plain; `words between backticks` are code, and the templates escape the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Text:
    """A paragraph; `strong` ones must not be missed."""

    kind: ClassVar[str] = "text"
    text: str
    strong: bool = False


@dataclass(frozen=True)
class Points:
    """A list."""

    kind: ClassVar[str] = "points"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Tile:
    """A key figure: label, value and detail."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Tiles:
    """Key figures side by side."""

    kind: ClassVar[str] = "tiles"
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Row:
    """A row of a table; the first cell is its head, `strong` sets it apart from the others."""

    cells: tuple[str, ...]
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: Title.
        heads: Column heads; the first stands over the rows' heads.
        rows: Rows with one cell per column. Line breaks within cells are kept.
        align: A letter for each column: `l` or `r`.
        notes: Notes below the table.
        folded: Whether it is collapsed at first.
    """

    kind: ClassVar[str] = "table"
    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    align: str
    notes: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: Unique id within a report.
        title: Title.
        description: Alternative text.
        png: A file beside the report with the same content, if any; figures may share one.
        draw: Function that draws it.
    """

    name: str
    title: str
    description: str
    png: str | None
    draw: Callable[[], Canvas]


@dataclass(frozen=True)
class Figures:
    """Figures that belong together."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]

    @property
    def pictures(self) -> dict[str, str]:
        """Titles of the figures in each PNG, by file name."""
        titles: dict[str, list[str]] = {}
        for figure in self.figures:
            if figure.png is not None:
                titles.setdefault(figure.png, []).append(figure.title)
        return {png: "; ".join(names) for png, names in titles.items()}


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    kind: ClassVar[str] = "commands"
    lines: tuple[str, ...]


Block = Text | Points | Tiles | Table | Figures | Commands


@dataclass(frozen=True)
class Section:
    """A part of a report: an id, a title and blocks."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A report: a title, a lead and sections."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]
