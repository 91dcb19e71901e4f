"""Comparison with the paper's tables, and the differences between the protocols."""

from collections.abc import Iterator
from typing import Any

from pipeline.base.settings import MODALITIES
from pipeline.records.predictions import MODEL
from pipeline.report.blocks import Block, Points, Row, Section, Table, Text
from pipeline.report.paper import Paper, PaperRow, PaperTable, read_paper, weighted_f1_of
from pipeline.report.read import Results
from pipeline.report.words import NONE, listed, number, whole
from pipeline.systems.settings import ModelSettings

OURS = "Ours"  # the paper's name for its method
THEIR_ENCODERS = {
    "text": "RoBERTa-base",
    "audio": "openSMILE, feature set not named",
    "visual": "ResNet-101, 1000 values per frame",
}


def section(results: Results) -> Section:
    """The paper's rows and ours, and how the protocols differ."""
    paper = read_paper()
    tables = _fitting(paper, results)
    source = f"{paper.paper.authors}: {paper.paper.title}."
    blocks: list[Block] = [Text(source)]
    if not tables:
        blocks.append(Text(_none_fits(paper, results)))
    else:
        if results.generated:
            blocks.append(
                Text(
                    f"Not comparable: `{results.corpus}` is a generated corpus with the classes of "
                    f"{tables[0].corpus}. The tables only show the form of the comparison; the "
                    "rows measured here say nothing about the method.",
                    strong=True,
                )
            )
        blocks.append(Points(tuple(_differences(results))))
        blocks += [_table(paper, table, results) for table in tables]
    return Section("paper", "Comparison with the paper", tuple(blocks))


def _fitting(paper: Paper, results: Results) -> list[PaperTable]:
    """The paper's tables with the corpus and classes of a run."""
    return [
        table
        for table in paper.tables
        if table.reader == results.origin.reader and table.classes == results.protocol.classes
    ]


def _none_fits(paper: Paper, results: Results) -> str:
    by_corpus: dict[str, list[PaperTable]] = {}
    for table in paper.tables:
        by_corpus.setdefault(table.corpus, []).append(table)
    published = "; ".join(
        f"tables {listed(t.number for t in tables)} are of {corpus} with the classes "
        f"{', '.join(tables[0].classes)}"
        for corpus, tables in by_corpus.items()
    )
    return (
        f"No published table fits: {published}. This run has the classes "
        f"{', '.join(results.protocol.classes)} of a corpus read as `{results.origin.reader}`."
    )


def _differences(results: Results) -> Iterator[str]:
    yield (
        "The paper states no validation protocol, no number of seeds and no rule for choosing an "
        "epoch. Most published figures in this field come from the epoch that was best on test: "
        "compare them with the test-selected row, but trust the validation-selected one."
    )
    yield "Figures measured here are means over seeds with an interval, published ones single runs."
    for modality in MODALITIES:
        yield f"{modality}: {_encoders(results, modality)}"
    settings = results.settings.protocol
    yield (
        f"Labels follow the policy `{settings.label_policy}`, splits are `{settings.splits}`; the "
        "paper states neither its labels nor its splits."
    )
    if not (results.origin.full or results.generated):
        yield "The corpus here is part of a release; the paper's is the whole one."


def _encoders(results: Results, modality: str) -> str:
    theirs = f"in the paper {THEIR_ENCODERS[modality]}"
    provenance = results.run["features"].get(modality)
    return f"{theirs}; here {'not used' if provenance is None else extractor(provenance)}."


def extractor(provenance: dict[str, Any]) -> str:
    """Name a feature store's encoder or feature set."""
    settings = provenance["settings"]
    if "encoder" in provenance:
        name = provenance["encoder"]["name"]
        kind = settings.get("layer") or settings.get("pooling") or settings.get("layers")
    else:
        name, kind = settings.get("feature_set", provenance["extractor"]), settings.get("level")
    return f"{name} ({kind})" if kind else str(name)


def _table(paper: Paper, table: PaperTable, results: Results) -> Table:
    rows = [Row((_method(row), *_printed(row), "as published")) for row in table.rows]
    return Table(
        f"Table {table.number} of the paper ({table.corpus}, {table.about}), with the results "
        f"measured on {results.corpus}",
        ("method", *table.classes, "weighted F1", "source"),
        (*rows, *_measured(table, results)),
        "l" + "r" * (1 + len(table.classes)) + "l",
        tuple(_notes(paper, table, results.corpus)),
    )


def _printed(row: PaperRow) -> tuple[str, ...]:
    return tuple(NONE if cell is None else f"{cell:g}" for cell in (*row.f1, row.weighted_f1))


def _method(row: PaperRow) -> str:
    if row.citation is not None:
        return f"{row.method} [{row.citation}]"
    return f"{OURS} ({MODEL})" if row.method == OURS else row.method


def _notes(paper: Paper, table: PaperTable, corpus: str) -> Iterator[str]:
    yield "F1 in percent; - means not reported."
    yield _weighted(table)
    numbers = sorted({row.citation for row in table.rows if row.citation is not None})
    if numbers:
        references = "; ".join(f"[{number}] {paper.references[number]}" for number in numbers)
        yield f"Numbers in brackets are the paper's references: {references}."
    else:  # an ablation
        yield (
            "To run the same ablation here: `python -m pipeline experiment paper-parts --corpus "
            f"{corpus}`."
        )


def _measured(table: PaperTable, results: Results) -> Iterator[Row]:
    name, metrics = variant(results.settings.model), results.metrics
    f1 = [number(metrics["test"]["f1"].get(c), 2) for c in table.classes]
    weighted = whole(metrics["test"], "weighted_f1", 2)
    yield Row((f"{name}, validation-selected", *f1, weighted, "measured here"), strong=True)
    weighted = whole(metrics["test_selected"], "weighted_f1", 2)
    blank = [NONE] * len(table.classes)
    yield Row((f"{name}, test-selected", *blank, weighted, "measured here"), strong=True)


def variant(model: ModelSettings) -> str:
    """Name the model as the paper's Tables 3 and 4 do."""
    off = [part.upper() for part in ("psa", "mcn") if not getattr(model, part)]
    if not model.contrastive:
        off.append("contrastive loss")
    if off[-2:] == ["MCN", "contrastive loss"]:
        off[-2:] = ["MCN-CL"]
    name = f"w/o {listed(off)}" if off else MODEL
    return name if model.modalities == MODALITIES else f"{name} on {listed(model.modalities)} alone"


def _weighted(table: PaperTable) -> str:
    """Compare the printed weighted F1 with the one that follows from the F1 by class."""
    figures = ", ".join(
        f"{row.method} {weighted_f1_of(table, row):.2f} (printed {row.weighted_f1:.2f})"
        for row in table.rows
        if row.citation is None
    )
    return (
        "The paper's F1 by class, weighted by the official test supports, do not give its printed "
        f"weighted F1 exactly: {figures}. Its supports or its splits differ slightly."
    )
