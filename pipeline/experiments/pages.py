"""What a comparison of variants leaves in docs/: a page, its tables as CSV, and its plot."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.base.display import write_csv
from pipeline.base.files import write_text
from pipeline.evaluation.intervals import RESAMPLES
from pipeline.experiments.plots import Along, Mark, Panel, draw
from pipeline.experiments.reading import FOLDER
from pipeline.experiments.recipe import Recipe
from pipeline.experiments.request import Request
from pipeline.experiments.results import Comparison, Row
from pipeline.experiments.tables import code, frame, markdown, section
from pipeline.experiments.variants import Variants

TEST = "weighted F1 on test, %"


def write(request: Request, recipe: Variants, comparisons: Sequence[Comparison]) -> list[Path]:
    """Writes the page, the CSV and the plot.

    Returns:
        Their paths.
    """
    page, table, plot = (request.page(suffix) for suffix in (".md", ".csv", ".png"))
    heads = ["variant", "changed besides"]
    rows = [[name, code(settings)] for name, settings in recipe.variants.items()]
    lines = [
        *head(request, recipe),
        *changed(recipe.common, f"- but for {recipe.reference}: ", recipe.others),
        *markdown(heads, rows, "---"),
        "",
        "## Test",
        "",
        f"![Weighted F1 of each variant by corpus, with its interval and its seeds]({plot.name})",
        "",
        how_to_read(recipe.reference),
        "",
        *map(section, comparisons),
    ]
    write_text(page, "\n".join(lines))
    write_csv(table, frame(comparisons), "%.2f")
    panels = [panel(recipe, comparison) for comparison in comparisons]
    draw(plot, panels, TEST, "reference", along(recipe))
    return [page, table, plot]


def head(request: Request, recipe: Recipe) -> list[str]:
    """The first lines of a page: the command, what is asked, where it is written."""
    file = FOLDER / f"{request.name}.yaml"
    link = os.path.relpath(file, request.page(".md").parent)
    note = f"Written by this command from [{file}]({link})"
    if request.corpora:
        note += f", on {', '.join(recipe.corpora)} instead of its own corpora"
    if request.quick:
        note += "; quick: with one seed, and a part of what the recipe runs"
    title = ", ".join([request.name, *["quick"] * request.quick, *request.corpora])
    command = ["```sh", request.command, "```"]
    return [f"# {title}", "", *command, "", recipe.about, "", f"{note}.", ""]


def changed(changes: Iterable[str], but: str = "", others: Iterable[str] = ()) -> list[str]:
    """The lines that say what is changed for all."""
    lines = [f"- {code([change])}" for change in changes] or ["- nothing"]
    lines += [f"{but}{code([change])}" for change in others]
    return ["Changed in params.yaml for all (CORPUS: each corpus):", "", *lines, ""]


def how_to_read(reference: str) -> str:
    """What the intervals say, and what they do not."""
    return (
        f"Differences are in weighted F1, in percentage points: each less {reference}, averaged "
        f"over seeds, on the same test utterances. Intervals hold 95 % of {RESAMPLES:,} resamples "
        "of the test dialogues; they know nothing of other train splits, nor that several "
        "comparisons are made. A difference whose interval holds 0 is not clear. One can be clear "
        "though the two figures' own intervals overlap, as both vary with the same dialogues. "
        "Epochs are chosen on validation."
    )


def panel(recipe: Variants, comparison: Comparison) -> Panel:
    """A corpus' part of the plot: the variants in the recipe's order, or by number on its axis."""
    rows = {row.name: row for row in comparison.rows[: comparison.variants]}
    names = sorted(rows, key=list(recipe.variants).index)
    if recipe.axis:
        names = sorted(names, key=lambda name: _place(recipe.axis_value(name)))
    return Panel(comparison.corpus, [_mark(recipe, rows[name]) for name in names])


def _place(value: float | None) -> tuple[bool, float]:
    """Sorts numbers; null stands behind them."""
    return value is None, value or 0.0


def _mark(recipe: Variants, row: Row) -> Mark:
    value = recipe.axis_value(row.name) if recipe.axis else None
    own = row.weighted_f1
    return Mark(
        name=row.name if value is None else f"{value:g}",
        value=own.value,
        by_seed=row.by_seed,
        interval=(own.low, own.high),
        marked=row.name == recipe.reference,
    )


def along(recipe: Variants) -> Along | None:
    """What varies, if it is a number."""
    if recipe.axis is None:
        return None
    numbers = [name for name in recipe.variants if recipe.axis_value(name) is not None]
    return Along(f"{recipe.axis.rpartition('.')[2]} (evenly spaced)", len(numbers))
