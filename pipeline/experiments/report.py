"""A recipe's tables: on the terminal, as a page and as CSV."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from pipeline.evaluation.intervals import RESAMPLES
from pipeline.evaluation.paired import Difference
from pipeline.experiments.recipe import FOLDER, Recipe
from pipeline.experiments.results import Comparison, Row
from pipeline.files import replacing, write_text

PAGES = Path("docs/experiments")


def show(comparisons: Sequence[Comparison], console: Console | None = None) -> None:
    """Prints a table per corpus, and below each what it says of single modalities."""
    console = console or Console()
    for found in comparisons:
        title = f"{found.corpus}: {_tested(found)}, F1 in percent"
        table = Table(title=title, title_justify="left")
        for number, head in enumerate(_heads(found)):
            table.add_column(head, justify="right" if number else "left")
        for row in found.rows:
            table.add_row(*_cells(row))
        console.print(table)
        console.print(said(found), soft_wrap=True)


def write(name: str, recipe: Recipe, comparisons: Sequence[Comparison]) -> list[Path]:
    """Writes `docs/experiments/NAME.md` and `NAME.csv`.

    Returns:
        Their paths.
    """
    page, table = PAGES / f"{name}.md", PAGES / f"{name}.csv"
    write_text(page, "\n".join([*_head(name, recipe), *map(_section, comparisons)]))
    rows = [_flat(found.corpus, row) for found in comparisons for row in found.rows]
    with replacing(table) as part:
        pd.DataFrame(rows).to_csv(part, index=False, float_format="%.2f", lineterminator="\n")
    return [page, table]


def said(found: Comparison) -> str:
    """What a table says of single modalities, in words; "" if the recipe has none."""
    if not found.singles:
        return ""
    best = next(iter(found.singles))
    text = f"Best single modality: {best}"
    if found.lead is not None:
        text += f"; {found.reference} is {_apart(found.lead)}"
    each = ", ".join(
        f"{name} {_interval(d)}{'' if d.low > 0 else ' (does not beat it)'}"
        for name, d in found.singles.items()
    )
    return f"{text}. Each one less the majority class: {each}."


def _apart(lead: Difference) -> str:
    if not lead.clear:
        return f"not clearly apart from it, {_interval(lead)}"
    return f"{_word(lead)}, {_interval(lead)}"


def _tested(found: Comparison) -> str:
    truth = found.truth
    dialogues = len(np.unique(truth.dialogues))
    return f"{len(truth.utterances)} test utterances in {dialogues} dialogues"


def _learned(found: Comparison) -> str:
    truth = found.truth
    text = f"{truth.learned['train']} train, {truth.learned['valid']} validation"
    return text if truth.folds == 1 else f"{text} (first of {truth.folds} folds, tests pooled)"


def _heads(found: Comparison) -> list[str]:
    return ["", "weighted F1", "macro F1", f"less {found.reference} [95 %]", "which is"]


def _cells(row: Row) -> list[str]:
    spread = "" if row.weighted_f1_std is None else f" ± {row.weighted_f1_std:.1f}"
    cells = [row.name, f"{row.weighted_f1:.1f}{spread}", f"{row.macro_f1:.1f}"]
    if row.to_reference is None:
        return [*cells, "", ""]
    return [*cells, _interval(row.to_reference), _word(row.to_reference)]


def _interval(found: Difference) -> str:
    return f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def _word(found: Difference) -> str:
    if not found.clear:
        return "not clear"
    return "better" if found.low > 0 else "worse"


def _head(name: str, recipe: Recipe) -> list[str]:
    """The page's first part: how to repeat it, what was run, how to read it."""
    changes = [f"- `{change}`" for change in recipe.changes] or ["- nothing"]
    changes += [f"- but for {recipe.reference}: `{change}`" for change in recipe.others]
    variants = [
        f"| {variant} | {', '.join(f'`{s}`' for s in settings) or 'as it is'} |"
        for variant, settings in recipe.variants.items()
    ]
    return [
        f"# {name}",
        "",
        recipe.about,
        "",
        "```sh",
        f"python -m pipeline experiment {name}",
        "```",
        "",
        f"Written by this command from [{FOLDER}/{name}.yaml](../../{FOLDER}/{name}.yaml). Changed "
        "in params.yaml for all variants (CORPUS: each corpus):",
        "",
        *changes,
        "",
        "| variant | changed besides |",
        "|---|---|",
        *variants,
        "",
        f"Differences are in weighted F1, in percentage points: each variant less "
        f"{recipe.reference}, averaged over seeds, on the same test utterances. Intervals hold "
        f"95 % of {RESAMPLES:,} resamples of the test dialogues; they know nothing of other train "
        "splits, nor that several comparisons are made. A difference whose interval holds 0 is not "
        "clear. Epochs are chosen on validation.",
        "",
    ]


def _section(found: Comparison) -> str:
    heads = _heads(found)
    lines = [
        f"## {found.corpus}",
        "",
        f"{_learned(found)} and {_tested(found)}, all labelled; "
        f"seeds {', '.join(map(str, found.seeds))}. F1 in percent, mean ± sample standard "
        "deviation over seeds.",
        "",
        f"| {' | '.join(heads)} |",
        "|---|---:|---:|---:|---|",
        *(f"| {' | '.join(_cells(row))} |" for row in found.rows),
        "",
    ]
    words = said(found)
    return "\n".join([*lines, words, ""] if words else lines)


def _flat(corpus: str, row: Row) -> dict[str, str | float | None]:
    found = row.to_reference
    return {
        "corpus": corpus,
        "variant": row.name,
        "weighted_f1": row.weighted_f1,
        "weighted_f1_std": row.weighted_f1_std,
        "macro_f1": row.macro_f1,
        "difference": found.value if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
    }
