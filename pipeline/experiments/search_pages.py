"""What a grid search leaves in docs/: all points on validation, and the chosen one on test."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from pipeline.base.display import terminal, write_csv
from pipeline.base.files import write_text
from pipeline.experiments.grid import CHOSEN, REFERENCE, Search
from pipeline.experiments.pages import changed, head, how_to_read
from pipeline.experiments.plots import Mark, Panel, draw
from pipeline.experiments.request import Request
from pipeline.experiments.results import Comparison
from pipeline.experiments.search import Ranking
from pipeline.experiments.tables import frame, markdown, mean_std, section

VALIDATION = "weighted F1 on validation, %"
RULES = (
    "The points were trained, no further: the stage `evaluate`, which reads the test labels, ran "
    "for none of them (what `dvc exp show` has of them in its columns of test belongs to the "
    "commit they were queued on). For each corpus the point with the highest weighted F1 on "
    "validation is chosen, averaged over seeds; of equal ones the first. Being the best of "
    "several, its figure on validation is too favourable; its figure on test, read once, is not. "
    f"{REFERENCE} is params.yaml with the changes above, and cannot be chosen."
)
ON_TEST = tuple(
    f"test_{name}"
    for name in (
        *("weighted_f1", "weighted_f1_std", "weighted_f1_low", "weighted_f1_high"),
        *("difference", "difference_low", "difference_high"),
    )
)


def show(search: Search, rankings: Sequence[Ranking], console: Console | None = None) -> None:
    """Prints the points with their figures on validation."""
    table = Table(title=f"{VALIDATION}, mean over seeds", title_justify="left")
    for name in _heads(search, rankings):
        table.add_column(name)
    for cells in _rows(search, rankings):
        table.add_row(*cells)
    (console or terminal()).print(table)


def write(
    request: Request,
    search: Search,
    rankings: Sequence[Ranking],
    comparisons: Sequence[Comparison],
) -> list[Path]:
    """Writes the page, the CSV and the plot.

    Args:
        request: What the user asked for.
        search: The recipe.
        rankings: By corpus.
        comparisons: Of the chosen point with the settings as they are, by corpus.

    Returns:
        Their paths.
    """
    page, table, plot = (request.page(suffix) for suffix in (".md", ".csv", ".png"))
    rule = "|".join(["---"] * len(search.grid) + ["---:"] * len(rankings))
    lines = [
        *head(request, search),
        *changed(search.common),
        "## Validation",
        "",
        f"{_budget(search)} {RULES}",
        "",
        *markdown(_heads(search, rankings), _rows(search, rankings), rule),
        "",
        *(f"- {sentence(search, ranking)}." for ranking in rankings),
        "",
        f"![Validation weighted F1 of each point by corpus, with its seeds]({plot.name})",
        "",
        "## Test",
        "",
        f"Read once, when the choice was made. {how_to_read(REFERENCE)}",
        "",
        *map(section, comparisons),
    ]
    write_text(page, "\n".join(lines))
    write_csv(table, _frame(search, rankings, comparisons), "%.2f")
    draw(plot, [_panel(ranking) for ranking in rankings], VALIDATION, "chosen")
    return [page, table, plot]


def sentence(search: Search, ranking: Ranking) -> str:
    """What was chosen, in words."""
    settings = ", ".join(f"{k}={v}" for k, v in search.points()[ranking.chosen].items())
    return f"{ranking.corpus}: validation chose {ranking.chosen}, {settings}"


def _budget(search: Search) -> str:
    points, all_of_them = len(search.points()), search.combinations
    if points == all_of_them:
        return f"The budget is {search.budget} points; the grid has {points}, so all were tried."
    return (
        f"The grid has {all_of_them} points, the budget is {points}: those were drawn without "
        f"replacement, with seed {search.seed}."
    )


def _heads(search: Search, rankings: Sequence[Ranking]) -> list[str]:
    return ["point", *search.grid, *(ranking.corpus for ranking in rankings)]


def _rows(search: Search, rankings: Sequence[Ranking]) -> Iterator[list[str]]:
    points = search.points()
    for name in rankings[0].by_seed:
        values = list(points[name].values()) if name in points else [""] * len(search.grid)
        yield [name, *values, *(_figure(ranking, name) for ranking in rankings)]


def _figure(ranking: Ranking, name: str) -> str:
    mark = ", chosen" if name == ranking.chosen else ""
    return mean_std(*_summary(ranking.by_seed[name])) + mark


def _summary(by_seed: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation, the latter None of one seed."""
    deviation = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None
    return float(np.mean(by_seed)), deviation


def _frame(
    search: Search, rankings: Sequence[Ranking], comparisons: Sequence[Comparison]
) -> pd.DataFrame:
    """A row for each corpus and point; where none was tested, the columns of test are empty."""
    rows = []
    for ranking, tested in zip(rankings, comparisons, strict=True):
        on_test = frame([tested]).set_index("variant").add_prefix("test_")
        for name, by_seed in ranking.by_seed.items():
            mean, deviation = _summary(by_seed)
            label = CHOSEN if name == ranking.chosen else name
            rows.append(
                {
                    "corpus": ranking.corpus,
                    "point": name,
                    **dict.fromkeys(search.grid),
                    **search.points().get(name, {}),
                    "validation_weighted_f1": mean,
                    "validation_weighted_f1_std": deviation,
                    "chosen": label == CHOSEN,
                    **(on_test.loc[label, list(ON_TEST)] if label in (REFERENCE, CHOSEN) else {}),
                }
            )
    return pd.DataFrame(rows)


def _panel(ranking: Ranking) -> Panel:
    marks = [
        Mark(name, float(np.mean(by_seed)), by_seed, None, marked=name == ranking.chosen)
        for name, by_seed in ranking.by_seed.items()
    ]
    return Panel(ranking.corpus, marks)
