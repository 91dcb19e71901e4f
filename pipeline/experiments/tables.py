"""A recipe's tables: their cells, on the terminal and as CSV, and what they say in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from pipeline.base.display import terminal
from pipeline.evaluation.intervals import Difference
from pipeline.evaluation.ranking import RARE, rare_classes
from pipeline.experiments.outcomes import Comparison, Ranking
from pipeline.experiments.recipe import AS_IT_IS, CHOSEN, Search
from pipeline.experiments.rows import WEIGHTED, Row, deviation, mean_std
from pipeline.records.predictions import TestSet

RARE_WORDS = f"F1 of rare classes: those with fewer than {RARE} test utterances, or the rarest"
VALIDATION = "weighted F1 on validation, %"


def show(comparisons: Sequence[Comparison], console: Console | None = None) -> None:
    """Print a table per comparison, and below each what it says in words."""
    console = console or terminal()
    for comparison in comparisons:
        title = f"{comparison.name}: {tested(comparison.rows[0])}, F1 in percent"
        _print(console, title, *rows_of(comparison))
        for words in sentences(comparison):
            console.print(words, soft_wrap=True)


def show_points(
    search: Search, rankings: Sequence[Ranking], console: Console | None = None
) -> None:
    """Print the points of a grid with their figures on validation, a table for each system."""
    for part in by_system(search, rankings):
        _print(console or terminal(), f"{VALIDATION}, mean over seeds", *points(search, part))


def by_system(search: Search, rankings: Sequence[Ranking]) -> list[Sequence[Ranking]]:
    """The rankings of each system, which are in the order of the corpora and then of systems."""
    systems = len(search.systems)
    return [rankings[place::systems] for place in range(systems)]


def _print(
    console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    table = Table(title=title, title_justify="left")
    for head in heads:  # names are not cut off: some differ in their last letters alone
        table.add_column(head, overflow="fold")
    for cells in rows:
        table.add_row(*cells)
    console.print(table)


def sentences(comparison: Comparison) -> list[str]:
    """What a table says in words, a paragraph each: of single modalities, of what is not paired."""
    return [words for words in (_of_singles(comparison), _of_apart(comparison)) if words]


def _of_singles(comparison: Comparison) -> str:
    singles, lead, least = comparison.singles, comparison.lead, comparison.least
    if not singles or not least:
        return ""
    best, *_ = singles
    text = f"Best single modality: {best}"
    if lead is not None:
        words = lead.word if lead.clear else "not clearly apart from it"
        text += f"; {comparison.rows[0].entrant.name} is {words}, {lead}"
    each = ", ".join(
        f"{name} {d}{'' if d.low > 0 else ' (does not beat it)'}" for name, d in singles.items()
    )
    return f"{text}. Each one less {least.entrant.name}: {each}."


def _of_apart(comparison: Comparison) -> str:
    rows = [row for row in comparison.rows[: comparison.variants] if row.apart]
    if not rows:
        return ""
    each = "; ".join(f"{row.entrant.name}: {tested(row)}, {row.apart}" for row in rows)
    return (
        f"A difference needs the same utterances with the same labels and classes in both. So none "
        f"to {comparison.rows[0].entrant.name} is given of {each}. Figures on other labels answer "
        "other questions; each stands beside its own baselines."
    )


def tested(row: Row) -> str:
    """On what a row was tested."""
    test_set: TestSet = row.entrant.test_set
    return f"{len(test_set.utterances)} test utterances in {len(set(test_set.dialogues))} dialogues"


def rows_of(comparison: Comparison) -> tuple[list[str], Iterator[Sequence[str]]]:
    """Heads and rows of a comparison's table."""
    less = f"less {comparison.rows[0].entrant.name} [95 %]"
    return ["", "weighted F1 [95 %]", "macro F1", less, "which is"], map(_cells, comparison.rows)


def rare_of(comparison: Comparison) -> tuple[list[str], Iterator[Sequence[str]]]:
    """Heads and rows of the table of rare classes, see `rare_classes`."""
    test_set = comparison.rows[0].entrant.test_set
    support = {n: int((test_set.actual == n).sum()) for n in rare_classes(test_set)}
    heads = [f"{test_set.classes[n]} ({count}) [95 %]" for n, count in support.items()]
    names = [test_set.classes[n] for n in support]
    rows = ([row.entrant.name, *(_rare(row, n) for n in names)] for row in comparison.rows)
    return ["", *heads], rows


def _rare(row: Row, name: str) -> str:
    """F1 of a class; empty where a row was tested on other classes."""
    own = row.by_class.get(name)
    return "" if own is None else f"{own.value:.1f} [{own.low:.1f}, {own.high:.1f}]"


def _cells(row: Row) -> list[str]:
    cells = [row.entrant.name, row.figure(WEIGHTED), f"{row.figures['macro_f1'].value:.1f}"]
    difference: Difference | None = row.differences.get(WEIGHTED)
    if difference is None:
        return [*cells, "", "not paired" if row.apart else ""]
    return [*cells, str(difference), difference.word]


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """All rows of all comparisons, for CSV."""
    return pd.DataFrame(
        [_flat(comparison.name, row) for comparison in comparisons for row in comparison.rows]
    )


def _flat(name: str, row: Row) -> dict[str, str | float | None]:
    own, difference = row.figures[WEIGHTED], row.differences.get(WEIGHTED)
    return {
        "corpus": name,
        "variant": row.entrant.name,
        "weighted_f1": own.value,
        "weighted_f1_std": row.std(),
        "weighted_f1_low": own.low,
        "weighted_f1_high": own.high,
        "macro_f1": row.figures["macro_f1"].value,
        "difference": difference.value if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "utterances": len(row.entrant.test_set.utterances),
        "classes": len(row.entrant.test_set.classes),
    }


def points(
    search: Search, rankings: Sequence[Ranking]
) -> tuple[list[str], Iterator[Sequence[str]]]:
    """Heads and rows of the table of a grid's points."""
    values = {AS_IT_IS: dict.fromkeys(search.grid, ""), **search.points()}
    rows = (
        [name, *own.values(), *(_figure(ranking, name) for ranking in rankings)]
        for name, own in values.items()
    )
    return ["point", *search.grid, *(ranking.name for ranking in rankings)], rows


def _figure(ranking: Ranking, name: str) -> str:
    by_seed = ranking.by_seed[name]
    chosen = ", chosen" if name == ranking.chosen else ""
    return mean_std(float(np.mean(by_seed)), deviation(by_seed)) + chosen


def points_frame(
    search: Search, rankings: Sequence[Ranking], comparisons: Sequence[Comparison]
) -> pd.DataFrame:
    """A row per corpus, system and point, for CSV; of points not tested, test is empty.

    The column `corpus` names the system too where there are several.
    """
    values: dict[str, Mapping[str, str | None]] = {AS_IT_IS: dict.fromkeys(search.grid)}
    values |= search.points()
    rows = [
        {
            "corpus": ranking.name,
            "point": name,
            **values[name],
            "validation_weighted_f1": np.mean(by_seed),
            "validation_weighted_f1_std": deviation(by_seed),
            "chosen": name == ranking.chosen,
            "test_variant": CHOSEN if name == ranking.chosen else name,
        }
        for ranking in rankings
        for name, by_seed in ranking.by_seed.items()
    ]
    tested = frame(comparisons).drop(columns=["macro_f1", "utterances", "classes"])
    tested = tested.rename(columns=lambda name: name if name == "corpus" else f"test_{name}")
    merged = pd.DataFrame(rows).merge(tested, "left", ["corpus", "test_variant"])
    return merged.drop(columns="test_variant")
