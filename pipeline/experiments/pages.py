"""What a recipe leaves in docs/: a page, its tables as CSV, and its plot."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.base.display import write_csv
from pipeline.base.files import write_text
from pipeline.evaluation.intervals import RESAMPLES
from pipeline.experiments.outcomes import Comparison, Ranking
from pipeline.experiments.plots import Mark, Panel, draw
from pipeline.experiments.reading import FOLDER, Request
from pipeline.experiments.recipe import AS_IT_IS, Recipe, Search, Variants
from pipeline.experiments.tables import VALIDATION, frame, markdown, points, points_frame, section

TEST = "weighted F1 on test, %"
RULES = (
    "The points were trained, no further: the stage `evaluate`, which reads the test labels, ran "
    "for none of them (what `dvc exp show` has of them in its columns of test belongs to the "
    "commit they started from). For each corpus the point with the highest weighted F1 on "
    "validation is chosen, averaged over seeds; of equal ones the first. Being the best of "
    "several, its figure on validation is too favourable; its figure on test, read once, is not. "
    f"{AS_IT_IS} is params.yaml with the changes above, and cannot be chosen."
)
HOW_TO_READ = (
    "Differences are in weighted F1, in percentage points: each less {reference}, averaged over "
    f"seeds, on the same test utterances. Intervals hold 95 % of {RESAMPLES:,} resamples of the "
    "test dialogues; they know nothing of other train splits, nor that several comparisons are "
    "made. A difference whose interval holds 0 is not clear. One can be clear though the two "
    "figures' own intervals overlap, as both vary with the same dialogues. Epochs are chosen on "
    "validation."
)


def write_variants(
    request: Request, recipe: Variants, comparisons: Sequence[Comparison]
) -> list[Path]:
    """Write the page, the CSV and the plot of variants; return their paths."""
    page, table, plot = (request.page(suffix) for suffix in (".md", ".csv", ".png"))
    settings = [[name, _code(values)] for name, values in recipe.variants.items()]
    alt = "Weighted F1 of each variant by corpus, with its interval and its seeds"
    lines = [
        *_head(request, recipe),
        *_changed(recipe, [f"but for {recipe.reference}: {_code([c])}" for c in recipe.others]),
        "\n".join(markdown(["variant", "changed besides"], settings, "ll")),
        "## Test",
        f"![{alt}]({plot.name})",
        HOW_TO_READ.format(reference=recipe.reference),
        *map(section, comparisons),
    ]
    write_text(page, "\n\n".join(lines))
    write_csv(table, frame(comparisons), "%.2f")
    axis = recipe.axis and recipe.axis.rpartition(".")[2]
    draw(plot, [panel(recipe, c) for c in comparisons], TEST, "reference", axis)
    return [page, table, plot]


def write_search(
    request: Request,
    search: Search,
    rankings: Sequence[Ranking],
    comparisons: Sequence[Comparison],
) -> list[Path]:
    """Write the page, the CSV and the plot of a search; return their paths.

    Args:
        request: What the user asked for.
        search: The recipe.
        rankings: By corpus.
        comparisons: Of the chosen point with the settings as they are, by corpus.
    """
    page, table, plot = (request.page(suffix) for suffix in (".md", ".csv", ".png"))
    columns = "l" * (1 + len(search.grid)) + "r" * len(rankings)
    lines = [
        *_head(request, search),
        *_changed(search),
        "## Validation",
        f"{_budget(search)} {RULES}",
        "\n".join(markdown(*points(search, rankings), columns)),
        "\n".join(f"- {choice(search, ranking)}." for ranking in rankings),
        f"![Validation weighted F1 of each point by corpus, with its seeds]({plot.name})",
        "## Test",
        f"Read once, when the choice was made. {HOW_TO_READ.format(reference=AS_IT_IS)}",
        *map(section, comparisons),
    ]
    write_text(page, "\n\n".join(lines))
    write_csv(table, points_frame(search, rankings, comparisons), "%.2f")
    draw(plot, [_points_panel(ranking) for ranking in rankings], VALIDATION, "chosen")
    return [page, table, plot]


def choice(search: Search, ranking: Ranking) -> str:
    """What was chosen, in words."""
    settings = ", ".join(f"{k}={v}" for k, v in search.points()[ranking.chosen].items())
    return f"{ranking.corpus}: validation chose {ranking.chosen}, {settings}"


def _budget(search: Search) -> str:
    tried, combinations = len(search.points()), search.combinations
    if tried == combinations:
        return f"The budget is {search.budget} points; the grid has {tried}, so all were tried."
    return (
        f"The grid has {combinations} points, the budget is {tried}: those were drawn without "
        f"replacement, with seed {search.seed}."
    )


def _head(request: Request, recipe: Recipe) -> list[str]:
    """The first paragraphs of a page: the command, what is asked, where it is written."""
    file = FOLDER / f"{request.name}.yaml"
    link = os.path.relpath(file, request.page(".md").parent)
    note = f"Written by this command from [{file}]({link})"
    if others := [*request.corpora, *request.systems]:
        note += f", on {', '.join(others)} instead of its own"
    if request.quick:
        note += "; quick: with one seed, and a part of what the recipe runs"
    title = ", ".join([request.name, *["quick"] * request.quick, *others])
    return [f"# {title}", f"```sh\n{request.command}\n```", recipe.about, f"{note}."]


def _changed(recipe: Recipe, others: Sequence[str] = ()) -> list[str]:
    """What is changed for all."""
    lines = [_code([change]) for change in recipe.common] or ["nothing"]
    meaning = f"CORPUS: each corpus; SYSTEM: {' and '.join(recipe.systems)}"
    listed = "\n".join(f"- {line}" for line in [*lines, *others])
    return [f"Changed in params.yaml for all ({meaning}):", listed]


def _code(settings: Iterable[str]) -> str:
    """Settings as code, or that there are none."""
    return ", ".join(f"`{setting}`" for setting in settings) or "as it is"


def panel(recipe: Variants, comparison: Comparison) -> Panel:
    """A comparison's part of the plot: in the recipe's order, or by number on its axis."""
    rows = {row.entrant.name: row for row in comparison.rows[: comparison.variants]}
    names = [name for name in recipe.variants if name in rows]
    numbers = {name: recipe.axis_value(name) for name in names if recipe.axis}
    if recipe.axis:  # null stands behind the numbers
        names.sort(key=lambda name: (numbers[name] is None, numbers[name] or 0.0))
    marks = []
    for name in names:
        own, number = rows[name].figures["weighted_f1"], numbers.get(name)
        marks.append(
            Mark(
                name=name if number is None else f"{number:g}",
                value=own.value,
                by_seed=rows[name].by_seed["weighted_f1"],
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
    return Panel(ranking.corpus, marks)
