"""The ledger: what was wrong with which utterance, and why a modality of it is masked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.display import short_name, table_cell
from pipeline.base.settings import MODALITIES, Modality
from pipeline.base.tables import read_rows, schema_of, table_of, write_table

VERSION = "ledger/1"
ALL = "all utterances"
NAME, DETAIL = 60, 400  # letters on the terminal


@dataclass(frozen=True)
class Problem:
    """One entry.

    Attributes:
        utterance: Id.
        modality: The modality concerned.
        kind: A word to count by: `absent`, `unreadable`, `no_audio`, `cut`, ...
        detail: What was seen.
    """

    utterance: str
    modality: Modality
    kind: str
    detail: str


SCHEMA = schema_of(Problem)
# Kinds that may be the fault of a machine that was too busy or too small, and not the file's.
OF_THE_MACHINE = ("crashed", "hung", "no_memory")


def write_ledger(path: Path, problems: Sequence[Problem]) -> None:
    """Writes a stage's ledger, in the order the problems were met."""
    write_table(path, table_of(problems, SCHEMA, VERSION), VERSION)


def read_ledger(path: Path) -> list[Problem]:
    """Reads a stage's ledger.

    Raises:
        PipelineError: The file is missing or of another version.
    """
    return read_rows(path, Problem, VERSION)[0]


def of_extracted(
    problems: Sequence[Problem], extracted: Sequence[str], left_out: Sequence[str]
) -> list[Problem]:
    """The problems of the modalities that are extracted, and a line for each that is left out."""
    kept = [problem for problem in problems if problem.modality in extracted]
    for modality in MODALITIES:
        if modality in left_out:
            kinds = Counter(p.kind for p in problems if p.modality == modality)
            listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
            detail = f"not in extract.modalities; its files: {listed or 'nothing wrong'}"
            kept.append(Problem(ALL, modality, "not_extracted", detail))
    return kept


def counted(problems: Iterable[Problem]) -> dict[str, int]:
    """Counts problems by `modality kind`, sorted by name."""
    counts = Counter(f"{p.modality} {p.kind}" for p in problems)
    return dict(sorted(counts.items()))


def page(corpus: str, ledgers: Mapping[str, Sequence[Problem]], examples: int = 3) -> str:
    """Draws up a Markdown table of all stages' problems, each kind with its first examples."""
    lines = [
        f"# What was wrong with {corpus}",
        "",
        f"Written by the stage `report`; all entries are in `data/ledgers/{corpus}/`.",
        "",
        "| stage | modality | kind | utterances | for example |",
        "|---|---|---|---:|---|",
    ]
    for stage, problems in ledgers.items():
        kinds = sorted({(p.modality, p.kind) for p in problems})
        for modality, kind in kinds:
            alike = [p for p in problems if (p.modality, p.kind) == (modality, kind)]
            shown = "; ".join(f"{p.utterance}: {p.detail}" for p in alike[:examples])
            cells = (stage, modality, kind, str(len(alike)), table_cell(shown))
            lines.append(f"| {' | '.join(cells)} |")
    if not any(ledgers.values()):
        lines.append("| all | all | nothing | 0 | |")
    lines += [
        "",
        *(line for stage, found in ledgers.items() for line in retry(found, stage, corpus)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def summary(problems: Sequence[Problem]) -> list[str]:
    """Lists each kind of problem for the terminal: how often, and the first example."""
    lines = []
    for kind, count in counted(problems).items():
        first = next(p for p in problems if f"{p.modality} {p.kind}" == kind)
        lines.append(f"  {kind}: {count}, such as {_in_a_line(first)}")
    return lines


def _in_a_line(problem: Problem) -> str:
    return f"{short_name(problem.utterance, NAME)} ({short_name(problem.detail, DETAIL)})"


def retry(problems: Iterable[Problem], stage: str, corpus: str) -> list[str]:
    """Say how to try again what may have been the machine's fault, which DVC does not know of."""
    count = sum(problem.kind in OF_THE_MACHINE for problem in problems)
    if not count:
        return []
    kinds = ", ".join(OF_THE_MACHINE)
    return [
        f"{count} of {stage}'s problems ({kinds}) may be the fault of a machine that was busy or "
        f"short of memory. `dvc repro --force --single-item {stage}@{corpus} && dvc repro` tries "
        "these again and nothing else; DVC by itself takes all for up to date."
    ]
