"""The paper's Tables 1 to 4, read from `paper.yaml`."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from pipeline.corpora.registry import READERS

PAPER = Path(__file__).with_name("paper.yaml")


class Strict(BaseModel):
    """A model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PaperRow(Strict):
    """A row as printed: F1 by class and weighted F1 in percent, None for `-`."""

    method: str
    citation: int | None
    f1: tuple[float | None, ...]
    weighted_f1: float


class PaperTable(Strict):
    """One of the paper's tables.

    Attributes:
        number: The table's number.
        corpus: The paper's name of the corpus.
        reader: Our reader of that corpus.
        about: Subject.
        classes: Our names of its classes, in its order.
        rows: Rows in order.
    """

    number: int
    corpus: str
    reader: str
    about: str
    classes: tuple[str, ...]
    rows: tuple[PaperRow, ...]


class Source(Strict):
    """The paper itself."""

    title: str
    authors: str


class Paper(Strict):
    """The paper, the references that its tables cite, and the tables."""

    paper: Source
    references: dict[int, str]
    tables: tuple[PaperTable, ...]


def read_paper() -> Paper:
    """Read the paper's tables."""
    return Paper.model_validate(YAML(typ="safe", pure=True).load(PAPER.read_text("utf-8")))


def weighted_f1_of(table: PaperTable, row: PaperRow) -> float:
    """Weighted F1 from a row's F1 by class and the official test supports.

    For the paper's own rows it differs from the printed figure: see `paper.yaml`.
    """
    supports = READERS[table.reader].test_support
    weights = np.array([supports[name] for name in table.classes])
    return float(np.average(np.array(row.f1, float), weights=weights))
