"""The rows of the paper's Tables 1 to 4, which are data: `paper.yaml`."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from pipeline.corpora.registry import READERS

PAPER = Path(__file__).with_name("paper.yaml")


class Strict(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PaperRow(Strict):
    """A row as printed: F1 by class and weighted F1 in percent, None where it has `-`."""

    method: str
    citation: int | None
    f1: tuple[float | None, ...]
    weighted_f1: float


class PaperTable(Strict):
    """One of the paper's tables.

    Attributes:
        number: Its number.
        corpus: The corpus it is of, and the reader of that corpus.
        about: What it shows.
        classes: Our names of its classes, in its order.
        rows: Its rows in order.
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
    """The paper, its list of references as far as the tables cite it, and its tables."""

    paper: Source
    references: dict[int, str]
    tables: tuple[PaperTable, ...]


def read_paper() -> Paper:
    """The paper's tables."""
    return Paper.model_validate(YAML(typ="safe", pure=True).load(PAPER.read_text("utf-8")))


def by_class(table: PaperTable, row: PaperRow) -> float:
    """The weighted F1 that a row's F1 by class give with the official test supports.

    The paper's own rows differ from what it prints: see `paper.yaml`.
    """
    supports = READERS[table.reader].test_support
    weights = np.array([supports[name] for name in table.classes])
    return float(np.average(np.array(row.f1, float), weights=weights))
