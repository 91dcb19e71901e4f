"""The ledger: what was wrong with which utterance, and why a modality of it is masked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.base.settings import Modality
from pipeline.base.tables import read_table, write_table

VERSION = "ledger/1"
SCHEMA = pa.schema(
    [pa.field(n, pa.string(), nullable=False) for n in ("utterance", "modality", "kind", "detail")]
)


@dataclass(frozen=True)
class Problem:
    """One entry.

    Attributes:
        utterance: Whose.
        modality: Which of its modalities is concerned.
        kind: A word to count by: `absent`, `unreadable`, `no_audio`, `cut`, ...
        detail: What was seen.
    """

    utterance: str
    modality: Modality
    kind: str
    detail: str


def write_ledger(path: Path, problems: Sequence[Problem]) -> None:
    """Writes a stage's ledger, in the order the problems were met."""
    write_table(path, pa.Table.from_pylist([asdict(p) for p in problems], SCHEMA), VERSION)


def read_ledger(path: Path) -> list[Problem]:
    """Reads a stage's ledger.

    Raises:
        PipelineError: The file is absent or of another version.
    """
    table, _ = read_table(path, SCHEMA, VERSION)
    return [Problem(**row) for row in table.to_pylist()]


def counted(problems: Iterable[Problem]) -> dict[str, int]:
    """Number of problems by `modality kind`, sorted by name."""
    counts = Counter(f"{p.modality} {p.kind}" for p in problems)
    return dict(sorted(counts.items()))


def page(corpus: str, ledgers: Mapping[str, Sequence[Problem]], examples: int = 3) -> str:
    """A Markdown table of all stages' problems: each kind, how often, and the first examples."""
    lines = [
        f"# What was wrong with {corpus}",
        "",
        f"Written by the stage `evaluate`; all entries are in `data/ledgers/{corpus}/`.",
        "",
        "| stage | modality | kind | utterances | for example |",
        "|---|---|---|---:|---|",
    ]
    for stage, problems in ledgers.items():
        kinds = sorted({(p.modality, p.kind) for p in problems})
        for modality, kind in kinds:
            alike = [p for p in problems if (p.modality, p.kind) == (modality, kind)]
            told = "; ".join(f"{p.utterance}: {p.detail}" for p in alike[:examples])
            cells = (stage, modality, kind, str(len(alike)), told.replace("|", "\\|"))
            lines.append(f"| {' | '.join(cells)} |")
    if not any(ledgers.values()):
        lines.append("| all | all | nothing | 0 | |")
    return "\n".join(lines) + "\n"


def summary(problems: Sequence[Problem]) -> list[str]:
    """Lines for the terminal: each kind, how often, and the first example."""
    lines = []
    for kind, count in counted(problems).items():
        first = next(p for p in problems if f"{p.modality} {p.kind}" == kind)
        lines.append(f"  {kind}: {count}, such as {first.utterance} ({first.detail})")
    return lines
