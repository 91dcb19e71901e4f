"""Published figures, read from `paper.yaml`: the paper's Tables 1 to 4 and those of others.

Beside them stand the rows measured here.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from scipy.stats import spearmanr

from pipeline.base.settings import MODALITIES, Modality, Strict
from pipeline.corpora.registry import KNOWN
from pipeline.report.read import Results, SystemResults
from pipeline.report.words import NONE, listed, number, records, spread, whole

OURS = "Ours"  # the paper's name for its method
OUR_READING = "our reading"  # a fidelity, whose place says nothing of the published one
FEWEST = 3  # systems that have an order worth a figure
PUBLISHED = "published"
MEASURED = ("title", "fidelity", "weighted_f1", "weighted_f1_low", "weighted_f1_high")
PAPER = Path(__file__).with_name("paper.yaml")


class PaperRow(Strict):
    """A row as printed: F1 by class and weighted F1 in percent, None for `-`.

    Attributes:
        system: Ours of its method.
    """

    method: str
    citation: int | None
    system: str | None = None
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

    @property
    def ablation(self) -> bool:
        """Whether all rows are of the paper's own method."""
        return not self.citations

    @property
    def citations(self) -> list[int]:
        """Numbers of the references that its rows cite."""
        return sorted({row.citation for row in self.rows if row.citation is not None})


class Source(Strict):
    """The paper itself, its method by its name there and here, and what it says of that."""

    title: str
    authors: str
    name: str
    system: str
    encoders: dict[Modality, str]
    parts: dict[str, tuple[str, ...]]


class Elsewhere(Strict):
    """What somebody else prints: weighted F1 in percent by reader and system.

    Attributes:
        own: Whether each figure is of the system's own authors.
    """

    by: str
    about: str
    own: bool = False
    weighted_f1: dict[str, dict[str, float]]


class Paper(Strict):
    """The paper, the references that its tables cite, the tables, and figures of others."""

    paper: Source
    references: dict[int, str]
    tables: tuple[PaperTable, ...]
    elsewhere: tuple[Elsewhere, ...]


def read_paper() -> Paper:
    """Read the paper's tables."""
    return Paper.model_validate(YAML(typ="safe").load(PAPER.read_text("utf-8")))


def fitting_tables(paper: Paper, results: Results) -> list[PaperTable]:
    """The paper's tables with the corpus and classes of a run."""
    fits = (results.origin.reader, results.protocol.classes)
    return [table for table in paper.tables if (table.reader, table.classes) == fits]


def weighted_f1_of(table: PaperTable, row: PaperRow) -> float:
    """Weighted F1 from a row's F1 by class and the official test supports.

    For the paper's own rows it differs from the printed figure: see `paper.yaml`.
    """
    supports = KNOWN[table.reader].test_support
    weights = np.array([supports[name] for name in table.classes])
    return float(np.average(np.array(row.f1, float), weights=weights))


def printed(paper: Paper, row: PaperRow) -> list[str]:
    """A row's method with its citation, and its figures as printed."""
    name = f"{OURS} ({paper.paper.name})" if row.method == OURS else row.method
    if row.citation is not None:
        name = f"{name} [{row.citation}]"
    figures = (*row.f1, row.weighted_f1)
    return [name, *(NONE if figure is None else f"{figure:g}" for figure in figures)]


def measured(paper: Source, table: PaperTable, results: Results) -> Iterator[list[str]]:
    """Rows of systems run here: name, F1 by class, weighted F1, and where they come from.

    An ablation table is beside the paper's method alone.
    """
    for system in results.systems:
        if table.ablation and system.name != paper.system:
            continue
        test, name = system.metrics["test"], variant(paper, system)
        f1 = [number(test["f1"].get(c), 2) for c in table.classes]
        source = f"measured here, {system.about['fidelity']}" if system.settings else "as given"
        yield [name, *f1, whole(test, "weighted_f1", 2), source]
        if system.curves is not None:
            blank = [NONE] * len(table.classes)
            on_test = spread(system.metrics["test_selected"], "weighted_f1", 2)
            yield [f"{name}, epoch chosen on test", *blank, on_test, source]


def beside(paper: Paper, results: Results) -> pd.DataFrame:
    """Systems run here of which weighted F1 is published, the highest published one first.

    Returns:
        Columns of `MEASURED`; `published`, of its own authors, else as the paper quotes it; and one
        for each source, NaN where it has none. No rows where the corpus is generated, its classes
        are others, or its labels are a control's.
    """
    tables = [table for table in fitting_tables(paper, results) if not table.ablation]
    controlled = results.protocol_settings.control != "none"
    if results.generated or controlled or not tables:
        return pd.DataFrame()
    quoted = {row.system: row.weighted_f1 for row in tables[0].rows}
    sources = {f"as {paper.paper.name}'s paper has it": quoted} | {
        source.by: source.weighted_f1.get(results.origin.reader, {}) for source in paper.elsewhere
    }
    own = {
        system: figure
        for source in paper.elsewhere
        if source.own
        for system, figure in sources[source.by].items()
    }
    rows = [
        {
            **{name: row[name] for name in MEASURED},
            PUBLISHED: own.get(row["system"], quoted.get(row["system"])),
            **{by: figures.get(row["system"]) for by, figures in sources.items()},
        }
        for row in records(results.leaderboard)
        if any(row["system"] in figures for figures in sources.values())
    ]
    table = pd.DataFrame(rows, columns=[*MEASURED, PUBLISHED, *sources])
    table = table.drop(columns=[by for by in sources if table[by].isna().all()])
    return table.sort_values(PUBLISHED, ascending=False, kind="stable", ignore_index=True)


def sources(table: pd.DataFrame) -> list[str]:
    """Names of the sources in a table of `beside`."""
    return [str(name) for name in table if name not in (*MEASURED, PUBLISHED)]


def agreement(table: pd.DataFrame) -> tuple[int, float] | None:
    """How many systems have a published figure, and Spearman's correlation with the measured.

    Systems that are our reading of a paper are not among them. None where they are fewer than
    three.
    """
    both = table[table["fidelity"] != OUR_READING].dropna(subset=PUBLISHED)
    if len(both) < FEWEST:
        return None
    ranks = spearmanr(both[PUBLISHED].astype(float), both["weighted_f1"])
    return len(both), float(ranks.statistic)


def variant(paper: Source, system: SystemResults) -> str:
    """Name a system with the parts that are off, as the paper's Tables 3 and 4 do."""
    settings, name = system.settings or {}, str(system.about["title"])
    off, words = set(), []
    if system.name == paper.system:
        switches = [switch for part in paper.parts.values() for switch in part]
        off = {switch for switch in switches if not settings.get(switch, True)}
    for word, part in paper.parts.items():
        if off.issuperset(part):
            words.append(word)
            off -= set(part)
    name = f"{name} w/o {listed(words)}" if words else name
    used = settings.get("modalities", MODALITIES)
    return name if tuple(used) == MODALITIES else f"{name} on {listed(used)} alone"
