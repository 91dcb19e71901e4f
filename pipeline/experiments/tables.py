"""A recipe's tables on test: their cells, on the terminal, as Markdown and as CSV."""

from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from pipeline.base.display import terminal
from pipeline.evaluation.intervals import Difference, Interval
from pipeline.experiments.results import Comparison, Row
from pipeline.records.predictions import MODEL, TestSet

BAR = r"\|"  # a bar that ends no cell


def show(comparisons: Sequence[Comparison], console: Console | None = None) -> None:
    """Prints a table per corpus, and below each what it says in words."""
    console = console or terminal()
    for comparison in comparisons:
        tested = _tested(comparison.outcome.predictions.test_set)
        title = f"{comparison.corpus}: {tested}, F1 in percent"
        table = Table(title=title, title_justify="left")
        for number, head in enumerate(_heads(comparison)):
            # Names are not cut off: some differ in their last letters alone.
            table.add_column(head, justify="right" if number else "left", overflow="fold")
        for row in comparison.rows:
            table.add_row(*_cells(row))
        console.print(table)
        for words in sentences(comparison):
            console.print(words, soft_wrap=True)


def section(comparison: Comparison) -> str:
    """The part of a page that holds a corpus' table."""
    whose = f" ({comparison.reference})" if any(row.apart for row in comparison.rows) else ""
    lines = [
        f"### {comparison.corpus}",
        "",
        f"{_learned(comparison)} and {_tested(comparison.outcome.predictions.test_set)}, "
        f"all labelled{whose}; {_seeds(comparison)}",
        "",
        *markdown(_heads(comparison), map(_cells, comparison.rows), "---:|---:|---:|---"),
        "",
    ]
    for words in sentences(comparison):
        lines += [words, ""]
    return "\n".join(lines)


def _seeds(comparison: Comparison) -> str:
    seeds = comparison.outcome.predictions.by_model[MODEL].seeds
    if len(seeds) == 1:
        return f"one seed, {seeds[0]}, so the spread over seeds is not known. F1 in percent."
    listed = ", ".join(map(str, seeds))
    return f"seeds {listed}. F1 in percent, mean ± sample standard deviation over seeds."


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], rule: str) -> list[str]:
    """The lines of a table whose first column is text; `rule` aligns the others."""
    return [_line(heads), f"|---|{rule}|", *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def code(settings: Iterable[str]) -> str:
    """Settings as code, or that there are none."""
    return ", ".join(f"`{setting}`" for setting in settings) or "as it is"


def sentences(comparison: Comparison) -> list[str]:
    """What a table says in words, a paragraph each: of single modalities, of what is not paired."""
    return [words for words in (_of_singles(comparison), _of_apart(comparison)) if words]


def _of_singles(comparison: Comparison) -> str:
    if not comparison.singles:
        return ""
    best = next(iter(comparison.singles))
    text = f"Best single modality: {best}"
    if comparison.lead is not None:
        text += f"; {comparison.reference} is {_lead(comparison.lead)}"
    each = ", ".join(
        f"{name} {d}{'' if d.low > 0 else ' (does not beat it)'}"
        for name, d in comparison.singles.items()
    )
    return f"{text}. Each one less the majority class: {each}."


def _lead(lead: Difference) -> str:
    if not lead.clear:
        return f"not clearly apart from it, {lead}"
    return f"{lead.word}, {lead}"


def _of_apart(comparison: Comparison) -> str:
    rows = [row for row in comparison.rows[: comparison.variants] if row.apart]
    if not rows:
        return ""
    each = "; ".join(f"{row.name}: {_tested(row.test_set)}, {row.apart}" for row in rows)
    return (
        f"A difference needs the same utterances with the same labels and classes in both. So none "
        f"to {comparison.reference} is given of {each}. Figures on other labels answer other "
        "questions; each stands beside its own baselines."
    )


def _tested(test_set: TestSet) -> str:
    return f"{len(test_set.utterances)} test utterances in {len(set(test_set.dialogues))} dialogues"


def _learned(comparison: Comparison) -> str:
    learned, folds = (
        comparison.outcome.learned,
        len(set(comparison.outcome.predictions.test_set.folds.tolist())),
    )
    text = f"{learned['train']} train, {learned['valid']} validation"
    return text if folds == 1 else f"{text} (first of {folds} folds, tests pooled)"


def _heads(comparison: Comparison) -> list[str]:
    return ["", "weighted F1 [95 %]", "macro F1", f"less {comparison.reference} [95 %]", "which is"]


def _cells(row: Row) -> list[str]:
    own = f"{mean_std(row.weighted_f1.value, row.std)} {_ends(row.weighted_f1, '.1f')}"
    cells = [row.name, own, f"{row.macro_f1:.1f}"]
    if row.to_reference is None:
        return [*cells, "", "not paired" if row.apart else ""]
    return [*cells, str(row.to_reference), row.to_reference.word]


def mean_std(mean: float, std: float | None) -> str:
    """A mean over seeds with its sample standard deviation, if there is one."""
    return f"{mean:.1f}" if std is None else f"{mean:.1f} ± {std:.1f}"


def _ends(interval: Interval, form: str) -> str:
    return f"[{interval.low:{form}}, {interval.high:{form}}]"


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """All rows of all corpora, for CSV."""
    return pd.DataFrame(
        [_flat(comparison.corpus, row) for comparison in comparisons for row in comparison.rows]
    )


def _flat(corpus: str, row: Row) -> dict[str, str | float | None]:
    difference = row.to_reference
    return {
        "corpus": corpus,
        "variant": row.name,
        "weighted_f1": row.weighted_f1.value,
        "weighted_f1_std": row.std,
        "weighted_f1_low": row.weighted_f1.low,
        "weighted_f1_high": row.weighted_f1.high,
        "macro_f1": row.macro_f1,
        "difference": difference.value if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "utterances": len(row.test_set.utterances),
        "classes": len(row.test_set.classes),
    }
