"""The curves of a corpus as a page, as CSV and on the terminal."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, StrictUndefined
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.base.display import terminal, write_csv
from pipeline.base.files import write_text
from pipeline.base.plots import save
from pipeline.corruption.curves import Robustness
from pipeline.corruption.figure import LEGEND, figure, in_lines
from pipeline.evaluation.intervals import RESAMPLES
from pipeline.experiments.rows import WEIGHTED, Row
from pipeline.systems.registry import title

PAGES = Path("docs/robustness")
TEMPLATE = Path(__file__).with_name("page.md.j2")


def command(corpus: str, systems: Sequence[str], quick: bool) -> str:
    """What a user types to have the page; no systems: all that are trained."""
    chosen = "".join(f" --system {system}" for system in systems)
    return f"python -m pipeline robustness {corpus}{chosen}{' --quick' if quick else ''}"


def show(robustness: Robustness, console: Console | None = None) -> None:
    """Print what the strongest step of each corruption costs each system."""
    _, rows = _overview(robustness, lambda clean: f"{clean.figures[WEIGHTED].value:.1f}")
    heads = ["system", "clean", *(corruption.title for corruption in robustness.steps)]
    table = Table(title=_tested(robustness), title_justify="left", box=SIMPLE_HEAD)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = console or terminal()
    console.print(table)
    words = "points of weighted F1 in the strongest step; *: clear of 0; empty: not read"
    console.print(words, soft_wrap=True)


def write(robustness: Robustness, systems: Sequence[str], quick: bool) -> list[Path]:
    """Write a page, a CSV and a picture to docs/robustness, quick ones below it.

    Args:
        robustness: What was measured.
        systems: Those that were asked for, for the name of the files; none: all.
        quick: Whether few steps were measured.

    Returns:
        Their paths.
    """
    folder, name = PAGES / "quick" if quick else PAGES, "-".join([robustness.corpus, *systems])
    page, table, picture = (folder / f"{name}.{kind}" for kind in ("md", "csv", "png"))
    save(figure(robustness), picture)
    write_csv(table, pd.DataFrame(list(_flat(robustness))), "%.2f")
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    text = template.render(
        name=name,
        command=command(robustness.corpus, systems, quick),
        tested=_tested(robustness),
        found=robustness,
        legend=LEGEND,
        lines=in_lines(robustness),
        overview=_overview(robustness, Row.figure),
        title=title,
        resamples=f"{RESAMPLES:,}",
    )
    write_text(page, text)
    return [page, table, picture]


def _tested(robustness: Robustness) -> str:
    test = robustness.test_set
    folds = len(set(test.folds.tolist()))
    pooled = "" if folds == 1 else f" of {folds} folds, pooled"
    dialogues = len(set(test.dialogues))
    return f"{len(test.utterances)} labelled test utterances in {dialogues} dialogues{pooled}"


def _overview(
    robustness: Robustness, clean: Callable[[Row], str]
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: a row for each system, with its `clean` cell and what each corruption costs.

    That is at the strongest step.
    """
    steps = robustness.steps.items()
    heads = ["system", "clean", *(f"{c.title} {c.step(levels[-1])}" for c, levels in steps)]
    rows = []
    for system, row in robustness.clean.items():
        curves = [robustness.rows[system, corruption] for corruption in robustness.steps]
        costs = [_less(curve[-1]) if len(curve) > 1 else "" for curve in curves]
        rows.append([title(system), clean(row), *costs])
    return heads, rows


def _less(row: Row) -> str:
    difference = row.differences[WEIGHTED]
    return f"{difference.value:+.1f}{' *' if difference.clear else ''}"


def _flat(robustness: Robustness) -> Iterator[dict[str, str | float | None]]:
    """A line for each system, corruption of what it reads, and step."""
    for (system, corruption), rows in robustness.read.items():
        levels, masked = (None, *robustness.steps[corruption]), robustness.masked[corruption]
        for level, lacking, row in zip(levels, masked, rows, strict=True):
            own, difference = row.figures[WEIGHTED], row.differences.get(WEIGHTED)
            yield {
                "system": system,
                "modality": corruption.modality,
                "corruption": corruption.name,
                "level": level,
                "unit": corruption.unit,
                "masked": lacking,
                "weighted_f1": own.value,
                "weighted_f1_std": row.std(),
                "weighted_f1_low": own.low,
                "weighted_f1_high": own.high,
                "difference": difference.value if difference else None,
                "difference_low": difference.low if difference else None,
                "difference_high": difference.high if difference else None,
            }
