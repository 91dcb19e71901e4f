"""The paper's tables beside what was measured here, and how the protocols differ."""

from collections.abc import Iterator
from typing import Any

from pipeline.base.settings import MODALITIES
from pipeline.records.predictions import MODEL
from pipeline.report.blocks import Block, Points, Row, Section, Table, Text
from pipeline.report.paper import Paper, PaperRow, PaperTable, by_class, read_paper
from pipeline.report.read import Results
from pipeline.report.words import NONE, listed, number, whole
from pipeline.systems.settings import ModelSettings

OWN = "Ours"  # the paper's word for its method
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
                    f"{tables[0].corpus}. The rows stand together to show the form of the "
                    "comparison; ours say nothing of the method.",
                    strong=True,
                )
            )
        blocks.append(Points(tuple(_differences(results))))
        blocks += [_table(paper, table, results) for table in tables]
    return Section("paper", "Beside the paper's tables", tuple(blocks))


def _fitting(paper: Paper, results: Results) -> list[PaperTable]:
    """The tables of a corpus and classes like those of a run."""
    return [
        table
        for table in paper.tables
        if table.reader == results.origin.reader and table.classes == results.protocol.classes
    ]


def _none_fits(paper: Paper, results: Results) -> str:
    by_corpus: dict[str, list[PaperTable]] = {}
    for table in paper.tables:
        by_corpus.setdefault(table.corpus, []).append(table)
    known = "; ".join(
        f"tables {listed(t.number for t in tables)} are of {corpus} with the classes "
        f"{', '.join(tables[0].classes)}"
        for corpus, tables in by_corpus.items()
    )
    return (
        f"No published table fits: {known}. This run has the classes "
        f"{', '.join(results.protocol.classes)} of a corpus read as `{results.origin.reader}`."
    )


def _differences(results: Results) -> Iterator[str]:
    yield (
        "The paper names no validation protocol, no number of seeds and no rule by which an epoch "
        "is chosen. Most published figures of this field are of the epoch that was best on test: "
        "the test-selected row is the one of ours to hold beside them, the validation-selected row "
        "is the one to believe."
    )
    yield "Ours are means over seeds, with an interval; a published figure is a single number."
    for modality in MODALITIES:
        yield f"{modality}: {_encoders(results, modality)}"
    settings = results.settings.protocol
    yield (
        f"Labels here follow the policy `{settings.label_policy}`, splits are `{settings.splits}`; "
        "the paper says neither which labels it takes nor how it splits them."
    )
    if not (results.origin.full or results.generated):
        yield "The corpus here is a part of a release, the paper's is the whole one."


def _encoders(results: Results, modality: str) -> str:
    theirs = f"in the paper {THEIR_ENCODERS[modality]}"
    about = results.about["features"].get(modality)
    return f"{theirs}; here {'not used' if about is None else used(about)}."


def used(about: dict[str, Any]) -> str:
    """A feature store's encoder or feature set in a few words."""
    settings = about["settings"]
    if "encoder" in about:
        name = about["encoder"]["name"]
        kind = settings.get("layer") or settings.get("pooling") or settings.get("layers")
    else:
        name, kind = settings.get("feature_set", about["extractor"]), settings.get("level")
    return f"{name} ({kind})" if kind else str(name)


def _table(paper: Paper, table: PaperTable, results: Results) -> Table:
    rows = [Row((_method(row), *_printed(row), "as published")) for row in table.rows]
    return Table(
        f"Table {table.number} of the paper ({table.corpus}, {table.about}), and the same measured "
        f"on {results.corpus}",
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
    return f"{OWN} ({MODEL})" if row.method == OWN else row.method


def _notes(paper: Paper, table: PaperTable, corpus: str) -> Iterator[str]:
    yield "F1 in percent; - stands for not reported."
    yield _weighted(table)
    cited = sorted({row.citation for row in table.rows if row.citation is not None})
    if cited:
        listed_there = "; ".join(f"[{number}] {paper.references[number]}" for number in cited)
        yield f"Numbers in brackets are the paper's references: {listed_there}."
    else:  # an ablation
        yield (
            "Ours without these parts are experiments of their own: `python -m pipeline experiment "
            f"paper-parts --corpus {corpus}`."
        )


def _measured(table: PaperTable, results: Results) -> Iterator[Row]:
    name, metrics = variant(results.settings.model), results.metrics
    f1 = [number(metrics["test"]["f1"].get(c), 2) for c in table.classes]
    own = whole(metrics["test"], "weighted_f1", 2)
    yield Row((f"{name}, validation-selected", *f1, own, "measured here"), strong=True)
    on_test = whole(metrics["test_selected"], "weighted_f1", 2)
    nothing = [NONE] * len(table.classes)
    yield Row((f"{name}, test-selected", *nothing, on_test, "measured here"), strong=True)


def variant(model: ModelSettings) -> str:
    """The model that was run, in the manner of the paper's Tables 3 and 4."""
    off = [part.upper() for part in ("psa", "mcn") if not getattr(model, part)]
    if not model.contrastive:
        off.append("contrastive loss")
    if off[-2:] == ["MCN", "contrastive loss"]:
        off[-2:] = ["MCN-CL"]
    name = f"w/o {listed(off)}" if off else MODEL
    return name if model.modalities == MODALITIES else f"{name} on {listed(model.modalities)} alone"


def _weighted(table: PaperTable) -> str:
    """What the paper's own rows give by its F1 by class."""
    told = ", ".join(
        f"{row.method} {by_class(table, row):.2f} (printed {row.weighted_f1:.2f})"
        for row in table.rows
        if row.citation is None
    )
    return (
        "The paper's F1 by class, weighted by the official test supports, do not give its printed "
        f"weighted F1 exactly: {told}. Its supports or its splits differ a little."
    )
