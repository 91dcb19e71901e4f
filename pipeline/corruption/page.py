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
from pipeline.corruption.curves import Point, Robustness
from pipeline.corruption.figure import figure
from pipeline.evaluation.intervals import RESAMPLES
from pipeline.systems.registry import title

PAGES = Path("docs/robustness")
TEMPLATE = Path(__file__).with_name("page.md.j2")


def command(corpus: str, systems: Sequence[str], quick: bool) -> str:
    """What a user types to have the page; no systems: all that are trained."""
    chosen = "".join(f" --system {system}" for system in systems)
    return f"python -m pipeline robustness {corpus}{chosen}{' --quick' if quick else ''}"


def show(robustness: Robustness, console: Console | None = None) -> None:
    """Print what each step costs each system."""
    heads, rows = _overview(robustness, lambda clean: f"{clean.f1.value:.1f}")
    table = Table(title=_tested(robustness), title_justify="left", box=SIMPLE_HEAD)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = console or terminal()
    console.print(table)
    console.print("points of weighted F1; *: clear of 0; empty: not read", soft_wrap=True)


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
        overview=_overview(robustness, _f1),
        f1=_f1,
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
    robustness: Robustness, clean: Callable[[Point], str]
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: a column for each system, a row for the `clean` cells and for each step."""
    systems = list(robustness.seeds)
    rows = [["clean", *(clean(robustness.clean(system)) for system in systems)]]
    for corruption, levels in robustness.steps.items():
        for place, level in enumerate(levels, 1):
            columns = (robustness.points[system, corruption] for system in systems)
            cells = [_less(points[place]) if points[1:] else "" for points in columns]
            rows.append([f"{corruption.title} {corruption.step(level)}", *cells])
    return ["", *map(title, systems)], rows


def _less(point: Point) -> str:
    return f"{point.difference.value:+.1f}{' *' if point.difference.clear else ''}"


def _f1(point: Point) -> str:
    spread = "" if point.std is None else f" ± {point.std:.1f}"
    return f"{point.f1.value:.1f}{spread} [{point.f1.low:.1f}, {point.f1.high:.1f}]"


def _flat(robustness: Robustness) -> Iterator[dict[str, str | float | None]]:
    """A row for each system, corruption of what it reads, and step."""
    for (system, corruption), points in robustness.read.items():
        for level, point in zip((None, *robustness.steps[corruption]), points, strict=True):
            of_clean = level is None
            yield {
                "system": system,
                "modality": corruption.modality,
                "corruption": corruption.name,
                "level": level,
                "unit": corruption.unit,
                "masked": point.masked,
                "weighted_f1": point.f1.value,
                "weighted_f1_std": point.std,
                "weighted_f1_low": point.f1.low,
                "weighted_f1_high": point.f1.high,
                "difference": None if of_clean else point.difference.value,
                "difference_low": None if of_clean else point.difference.low,
                "difference_high": None if of_clean else point.difference.high,
            }
