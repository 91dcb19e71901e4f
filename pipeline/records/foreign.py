"""Read predictions that others made: a CSV or Parquet file of test utterances and their classes."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.display import plain_cell
from pipeline.base.errors import PipelineError
from pipeline.records.predictions import PROBABILITY, ROUNDING, SystemPredictions, TestSet

CSV, PARQUET = ".csv", ".parquet"
COLUMNS = ("utterance", "predicted")
EXPECTED = (
    f"expected the columns {', '.join(COLUMNS)} and, if you have them, seed (a run's number) and "
    f"`{PROBABILITY}CLASS` of every class"
)
SHOWN = 5  # of what is wrong


def is_foreign(name: str) -> bool:
    """Whether a name is that of a file of predictions, by its ending."""
    return Path(name).suffix.lower() in (CSV, PARQUET)


def read_foreign(path: Path, test_set: TestSet) -> SystemPredictions:
    """Read a file of predictions, in the order of a corpus' labelled test utterances.

    Raises:
        PipelineError: One message that names every problem: each run must hold each of those
            utterances once and no other, with a class of the corpus and, where probabilities are
            given, those of all classes, which add up to 1 and are highest for the predicted class.
    """
    table = _read(path)
    problems = list(_wrong_columns(table, test_set.classes))
    if not problems:
        problems = list(_wrong_rows(table, test_set))
    columns = [f"{PROBABILITY}{name}" for name in test_set.classes]
    given = columns[0] in table
    if not problems and given:
        problems = list(_wrong_probabilities(table, columns, test_set.classes))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise PipelineError(f"{path} cannot be used as predictions of this corpus:\n{lines}")
    table = table.set_index("utterance")
    order, seeds = list(test_set.utterances), sorted(table["seed"].unique().tolist())
    runs = [table[table["seed"] == seed].loc[order] for seed in seeds]
    number = {name: n for n, name in enumerate(test_set.classes)}
    return SystemPredictions(
        seeds=tuple(seeds),
        predicted=np.stack([run["predicted"].map(number).to_numpy(int) for run in runs]),
        probabilities=np.stack([run[columns].to_numpy(np.float32) for run in runs])
        if given
        else None,
    )


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise PipelineError(f"There is no file {path}; {EXPECTED}.")
    try:
        if path.suffix.lower() == PARQUET:
            table = pd.read_parquet(path)
            cells: Callable[[Any], str] = str
        else:
            lines = pd.read_csv(path, header=None, dtype=str, na_filter=False, encoding="utf-8-sig")
            table = lines[1:].fillna("").set_axis(lines.iloc[0], axis=1)
            cells = plain_cell  # what a spreadsheet needs before `=` is no part of a name
    except (OSError, ValueError) as error:  # pyarrow's errors and pandas' are among these
        reason = str(error).strip().partition("\n")[0]
        raise PipelineError(f"{path} cannot be read: {reason}; {EXPECTED}.") from error
    table.columns = [str(name).strip() for name in table.columns]
    texts = [name for name in COLUMNS if list(table.columns).count(name) == 1]
    return table.assign(**{name: table[name].astype(object).map(cells) for name in texts})


def _wrong_columns(table: pd.DataFrame, classes: Sequence[str]) -> Iterable[str]:
    names = list(table.columns)
    if lacking := [name for name in COLUMNS if name not in names]:
        yield f"it lacks the columns {lacking} and has {names}; {EXPECTED}"
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        yield f"it has the columns {repeated} twice"
    wanted = [f"{PROBABILITY}{name}" for name in classes]
    given = [name for name in names if name.lower().startswith("prob")]
    if given and set(given) != set(wanted):
        yield f"its columns of probabilities are {given}, expected none or {wanted}"


def _wrong_rows(table: pd.DataFrame, test_set: TestSet) -> Iterable[str]:
    if "seed" not in table:
        table["seed"] = 0
    written = table["seed"].astype(object).map(str)  # a Parquet file may hold anything
    seeds = pd.to_numeric(written, errors="coerce")
    whole = (seeds == seeds.round()) & (seeds.abs() < 2**53)
    if not whole.all():
        yield f"seed: got {_some(written[~whole].unique())}, expected whole numbers"
        return
    table["seed"] = seeds.astype(np.int64)
    if unknown := sorted(set(table["predicted"]) - set(test_set.classes)):
        yield f"predicted: got {_some(unknown)}, expected some of {list(test_set.classes)}"
    known = set(test_set.utterances)
    if others := [name for name in table["utterance"].unique() if name not in known]:
        yield f"{len(others)} are no labelled test utterances of this corpus: {_some(others)}"
    if len(twice := table["utterance"][table.duplicated(["seed", "utterance"])].unique()):
        yield f"{len(twice)} utterances stand in a run twice (a run has a seed): {_some(twice)}"
    if table.empty:
        yield "it has no rows"
    for seed, run in table.groupby("seed"):
        there = set(run["utterance"])
        if lacking := [name for name in test_set.utterances if name not in there]:
            count = f"{len(lacking)} of {len(test_set.utterances)}"
            yield f"{count} test utterances are not in it (seed {seed}): {_some(lacking)}"


def _wrong_probabilities(
    table: pd.DataFrame, columns: Sequence[str], classes: Sequence[str]
) -> Iterable[str]:
    table[columns] = table[columns].apply(pd.to_numeric, errors="coerce")
    shares = table[columns].to_numpy(np.float64)
    whole = np.isfinite(shares).all(1) & (shares >= 0).all(1)
    whole &= np.abs(shares.sum(1) - 1) <= ROUNDING
    if not whole.all():
        yield f"probabilities do not add up to 1 of {_some(table['utterance'][~whole])}"
        return
    number = {name: n for n, name in enumerate(classes)}
    chosen = shares[np.arange(len(shares)), table["predicted"].map(number)]
    if (lower := chosen < shares.max(1) - ROUNDING).any():
        names = _some(table["utterance"][lower])
        yield f"predicted is not the class with the highest probability of {names}"


def _some(names: Iterable[object]) -> str:
    listed = [str(name) for name in names]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
