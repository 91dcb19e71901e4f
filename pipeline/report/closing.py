"""The report's last sections: problems with the media, and how to reproduce the run."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.base import paths
from pipeline.records.ledger import Problem
from pipeline.report.blocks import Commands, Row, Section, Table, Text
from pipeline.report.read import Results
from pipeline.report.words import listed, many

EXAMPLES = 3


def ledger(results: Results) -> Section:
    """Kinds of problems with their counts and examples."""
    total = sum(map(len, results.ledgers.values()))
    masked = [f"{modality} {count:,}" for modality, count in results.run["masked"].items()]
    words = (
        f"{many(total, 'problem') if total else 'No problem'} in the ledger. A modality that "
        "cannot be read is masked; no utterance is dropped. Masked utterances: "
        f"{listed(masked)}."
    )
    rows = tuple(_kinds(results.ledgers))
    if not rows:
        return Section("ledger", "Problems with the media", (Text(words),))
    table = Table(
        "Problems by kind",
        ("stage", "modality", "kind", "utterances", "examples"),
        rows,
        "lllrl",
        (f"All entries are in `data/ledgers/{results.corpus}/`, examples also in `ledger.md`.",),
    )
    return Section("ledger", "Problems with the media", (Text(words), table))


def _kinds(ledgers: Mapping[str, Sequence[Problem]]) -> Iterator[Row]:
    for stage, problems in ledgers.items():
        for modality, kind in sorted({(p.modality, p.kind) for p in problems}):
            alike = [p for p in problems if (p.modality, p.kind) == (modality, kind)]
            examples = "\n".join(f"{p.utterance}: {p.detail}" for p in alike[:EXAMPLES])
            yield Row((stage, modality, kind, f"{len(alike):,}", examples))


def repeat(results: Results) -> Section:
    """Commands from a clone to this page."""
    corpus = results.corpus
    lines = ["make .venv/.place && source .venv/bin/activate"]
    if not results.generated:
        lines += [
            f"ln -s /where/it/is {paths.raw(corpus)}",
            f"python -m pipeline doctor {corpus}",
        ]
    lines += [
        f"dvc repro report@{corpus}",
        f"python -m pipeline summary {corpus}",
        *(
            f"python -m pipeline compare workspace workspace:{name} --corpus {corpus}"
            for name in results.best_baseline
        ),
        f"python -m pipeline report {corpus}",
    ]
    return Section(
        "repeat",
        "How to reproduce this",
        (
            Text(
                "Run these commands in a clone of the repository at the commit of this page, with "
                f"`{corpus}` among the `corpora` of params.yaml and with the settings of this page "
                "(of an experiment: `dvc exp apply NAME` first). Stages whose inputs have not "
                "changed are skipped; the last command rewrites this page at once."
            ),
            Commands(tuple(lines)),
            Text(
                f"`{paths.predictions(corpus)}` holds each model's prediction for each test "
                "utterance, with probabilities: all validation-selected figures of this page "
                "follow from it."
            ),
        ),
    )
