"""What a recipe leaves in docs/: a page, its tables as CSV, and its plot."""

import os
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from pipeline.base.display import write_csv
from pipeline.base.files import write_text
from pipeline.evaluation.intervals import RESAMPLES
from pipeline.experiments import tables
from pipeline.experiments.outcomes import Comparison, Ranking
from pipeline.experiments.plots import Mark, Panel, draw
from pipeline.experiments.reading import FOLDER, Request
from pipeline.experiments.recipe import Search, Variants
from pipeline.experiments.rows import WEIGHTED

TEST = "weighted F1 on test, %"


def write(
    request: Request,
    recipe: Variants | Search,
    comparisons: Sequence[Comparison],
    rankings: Sequence[Ranking] = (),
) -> list[Path]:
    """Write the page, the CSV and the plot; return their paths.

    Args:
        request: What the user asked for.
        recipe: The recipe.
        comparisons: On test; of a search those of the chosen point with the settings as they are.
        rankings: Of a search, by corpus.
    """
    page, table, plot = (request.page(suffix) for suffix in (".md", ".csv", ".png"))
    if isinstance(recipe, Search):
        rows = tables.points_frame(recipe, rankings, comparisons)
        draw(plot, [_points_panel(ranking) for ranking in rankings], tables.VALIDATION, "chosen")
    else:
        rows = tables.frame(comparisons)
        axis = recipe.axis and recipe.axis.rpartition(".")[2]
        draw(plot, [panel(recipe, c) for c in comparisons], TEST, "reference", axis)
    file, instead = FOLDER / f"{request.name}.yaml", [*request.corpora, *request.systems]
    text = _template().render(
        title=", ".join([request.name, *["quick"] * request.quick, *instead]),
        file=file,
        link=os.path.relpath(file, page.parent),
        instead=instead,
        request=request,
        recipe=recipe,
        reference=comparisons[0].rows[0].entrant.name,
        search=isinstance(recipe, Search),
        rankings=rankings,
        comparisons=comparisons,
        plot=plot.name,
        resamples=RESAMPLES,
        choice=choice,
        tables=tables,
    )
    write_text(page, text)
    write_csv(table, rows, "%.2f")
    return [page, table, plot]


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.md.j2")


def choice(search: Search, ranking: Ranking) -> str:
    """What was chosen, in words."""
    settings = ", ".join(f"{k}={v}" for k, v in search.points()[ranking.chosen].items())
    return f"{ranking.name}: validation chose {ranking.chosen}, {settings}"


def panel(recipe: Variants, comparison: Comparison) -> Panel:
    """A comparison's part of the plot: in the recipe's order, or by number on its axis."""
    rows = {row.entrant.name: row for row in comparison.rows[: comparison.variants]}
    names = [name for name in recipe.variants if name in rows]
    numbers = {name: recipe.axis_value(name) for name in names if recipe.axis}
    if recipe.axis:  # null stands behind the numbers
        names.sort(key=lambda name: (numbers[name] is None, numbers[name] or 0.0))
    marks = []
    for name in names:
        own, number = rows[name].figures[WEIGHTED], numbers.get(name)
        marks.append(
            Mark(
                name=name if number is None else f"{number:g}",
                value=own.value,
                by_seed=rows[name].by_seed[WEIGHTED],
                interval=(own.low, own.high),
                marked=name == recipe.reference,
                joined=number is not None,
            )
        )
    return Panel(comparison.name, marks)


def _points_panel(ranking: Ranking) -> Panel:
    marks = [
        Mark(name, sum(seeds) / len(seeds), seeds, None, marked=name == ranking.chosen)
        for name, seeds in ranking.by_seed.items()
    ]
    return Panel(ranking.name, marks)
