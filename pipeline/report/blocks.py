"""What a report is made of, apart from how it is written: sections of paragraphs, tables, figures.

All texts are plain words in which `a word between backticks` is code; a template escapes the rest.
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
    """A key figure: what it is, the figure, and what belongs to it."""

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
    """A row of a table; its first cell is its head, `strong` sets it apart from the others."""

    cells: tuple[str, ...]
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        heads: Of the columns; the first is that of the rows' heads.
        rows: Its rows, as many cells each as there are heads. A line end within a cell is kept.
        align: A letter for each column: `l` or `r`.
        notes: What must be known to read it.
        folded: Whether it is long and seldom wanted.
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
        name: Unique within a report, usable as an id.
        title: What it shows.
        description: What is seen, for who does not see it.
        png: The file beside the report that shows it too, if one does; several may share one.
        draw: Draws it.
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
        """The titles of what each PNG shows, by its name."""
        titles: dict[str, list[str]] = {}
        for figure in self.figures:
            if figure.png is None:
                continue
            titles.setdefault(figure.png, []).append(figure.title)
        return {png: "; ".join(shown) for png, shown in titles.items()}


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    kind: ClassVar[str] = "commands"
    lines: tuple[str, ...]


Block = Text | Points | Tiles | Table | Figures | Commands


@dataclass(frozen=True)
class Section:
    """A part of a report: an id, a title, and what stands in it."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A report: its title, what is said at once, and its sections."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]
