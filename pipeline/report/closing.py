"""What was wrong with the media, and how to repeat it all."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.base import paths
from pipeline.records.ledger import Problem
from pipeline.report.blocks import Commands, Row, Section, Table, Text
from pipeline.report.read import Results
from pipeline.report.words import listed, many

EXAMPLES = 3


def ledger(results: Results) -> Section:
    """The kinds of problems, how often each, and examples."""
    total = sum(map(len, results.ledgers.values()))
    masked = [f"{modality} {count:,}" for modality, count in results.about["masked"].items()]
    words = (
        f"{many(total, 'problem') if total else 'No problem'} in the ledger. What cannot be read "
        f"masks a modality; no utterance is dropped. Masked utterances: {listed(masked)}."
    )
    rows = tuple(_kinds(results.ledgers))
    if not rows:
        return Section("ledger", "What was wrong with the media", (Text(words),))
    table = Table(
        "Problems by kind",
        ("stage", "modality", "kind", "utterances", "for example"),
        rows,
        "lllrl",
        (f"All entries are in `data/ledgers/{results.corpus}/`, examples also in `ledger.md`.",),
    )
    return Section("ledger", "What was wrong with the media", (Text(words), table))


def _kinds(ledgers: Mapping[str, Sequence[Problem]]) -> Iterator[Row]:
    for stage, problems in ledgers.items():
        for modality, kind in sorted({(p.modality, p.kind) for p in problems}):
            alike = [p for p in problems if (p.modality, p.kind) == (modality, kind)]
            told = "\n".join(f"{p.utterance}: {p.detail}" for p in alike[:EXAMPLES])
            yield Row((stage, modality, kind, f"{len(alike):,}", told))


def repeat(results: Results) -> Section:
    """The commands from a clone to this page."""
    corpus = results.corpus
    lines = ["make .venv/.installed && source .venv/bin/activate"]
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
        "How to repeat this",
        (
            Text(
                f"In a clone of the repository at the commit of this page, with `{corpus}` among "
                "the `corpora` of params.yaml. Stages whose inputs have not changed do not run "
                "again; the last command writes this page again at once."
            ),
            Commands(tuple(lines)),
            Text(
                f"`{paths.predictions(corpus)}` holds what each model says of each test utterance, "
                "with probabilities: the validation-selected figures of this page come from it."
            ),
        ),
    )
