"""The table of predictions: one row per system, run and test utterance.

Every figure can be computed again from it, and systems can be compared pair by pair: nothing that
compares reads anything else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.tables import read_provenance, read_table, refused, schema_of, write_table
from pipeline.records.protocol import class_names

VERSION = "predictions/3"
PROBABILITY = "probability of "
ROUNDING = 1e-3  # of probabilities; what is larger was no arithmetic


@dataclass(frozen=True)
class Prediction:
    """A row, without the probabilities of the classes: a column each, null where there are none."""

    system: str
    seed: Annotated[int, pa.int64()]
    fold: int
    dialogue: str
    utterance: str
    actual: str
    predicted: str


@dataclass(frozen=True)
class TestSet:
    """The labelled test utterances of a corpus, the folds one after another.

    Attributes:
        classes: Names by class number.
        utterances: Ids; each stands once, since every utterance is in the test split of one fold.
        dialogues: [utterance] dialogue ids.
        folds: [utterance] fold numbers.
        actual: [utterance] class numbers.
    """

    classes: tuple[str, ...]
    utterances: tuple[str, ...]
    dialogues: tuple[str, ...]
    folds: np.ndarray
    actual: np.ndarray

    def same_as(self, other: "TestSet") -> bool:
        """Whether both are of the same utterances and labels in the same order."""
        return (self.classes, self.utterances, self.dialogues) == (
            other.classes,
            other.utterances,
            other.dialogues,
        ) and all(
            np.array_equal(*pair)
            for pair in ((self.folds, other.folds), (self.actual, other.actual))
        )

    @property
    def clusters(self) -> np.ndarray:
        """[utterance] numbers of the dialogues from 0, by first appearance."""
        place = {name: number for number, name in enumerate(dict.fromkeys(self.dialogues))}
        return np.array([place[name] for name in self.dialogues])


@dataclass(frozen=True)
class SystemPredictions:
    """One system's predictions for the test utterances.

    Attributes:
        seeds: Of its runs.
        predicted: [seed, utterance] class numbers.
        probabilities: [seed, utterance, class] float32; None where it gives none.
    """

    seeds: tuple[int, ...]
    predicted: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Predictions:
    """Test utterances, and the predictions of systems for them."""

    test_set: TestSet
    by_system: Mapping[str, SystemPredictions]
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By system, what is printed beside its figures; `left_out` says why it has none."""


def schema(classes: Sequence[str]) -> pa.Schema:
    """Arrow schema; the columns of probabilities are named after the classes."""
    probabilities = [pa.field(f"{PROBABILITY}{name}", pa.float32()) for name in classes]
    return pa.schema([*schema_of(Prediction), *probabilities])


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write the table; test utterances are in it where a system predicts them."""
    test_set = predictions.test_set
    parts = [
        _rows(test_set, system, of_system, run)
        for system, of_system in predictions.by_system.items()
        for run in range(len(of_system.seeds))
    ]
    table = pa.concat_tables(parts) if parts else schema(test_set.classes).empty_table()
    about = {system: dict(facts) for system, facts in predictions.about.items()}
    write_table(path, table, VERSION, {"classes": list(test_set.classes), "about": about})


def _rows(test_set: TestSet, system: str, predictions: SystemPredictions, run: int) -> pa.Table:
    count, names = len(test_set.utterances), np.array(test_set.classes, object)
    probabilities: list[np.ndarray | list[None]] = [[None] * count for _ in names]
    if predictions.probabilities is not None:
        probabilities = list(predictions.probabilities[run].T.astype(np.float32))
    cells = [
        [system] * count,
        [predictions.seeds[run]] * count,
        test_set.folds,
        test_set.dialogues,
        test_set.utterances,
        names[test_set.actual],
        names[predictions.predicted[run]],
        *probabilities,
    ]
    columns = schema(test_set.classes)
    arrays = [pa.array(cell, field.type) for cell, field in zip(cells, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=columns)


def read_predictions(path: Path) -> Predictions:
    """Read the table.

    Raises:
        PipelineError: The file is missing, of another version, or no table of predictions: its
            systems were not all tested on the same utterances and labels, a label is none of the
            classes, or probabilities are none, or not those of what was predicted.
    """
    provenance = read_provenance(path, VERSION)
    classes = class_names(path, provenance)
    table, _ = read_table(path, schema(classes), VERSION)
    for column in ("actual", "predicted"):
        _class_numbers(path, table[column], classes)
    first: pa.Table | None = None
    by_system = {}
    for system in pc.unique(table["system"]).to_pylist():
        rows = table.filter(pc.equal(table["system"], system))
        seeds = tuple(pc.unique(rows["seed"]).to_pylist())
        runs = [rows.filter(pc.equal(rows["seed"], seed)) for seed in seeds]
        first = first or runs[0]
        for run in runs:
            _check_same(path, system, run, first)
        predicted = np.stack([_class_numbers(path, run["predicted"], classes) for run in runs])
        probabilities = _probabilities(runs)
        if probabilities is not None:
            _check_probabilities(path, system, predicted, probabilities)
        by_system[system] = SystemPredictions(seeds, predicted, probabilities)
    test_set = _test_set(path, table if first is None else first, classes)
    return Predictions(test_set, by_system, provenance.get("about", {}))


def read_systems(corpus: str, systems: Sequence[str]) -> Predictions:
    """Read what several systems predict on a corpus.

    Raises:
        PipelineError: See `read_predictions`; or no system predicts anything, or they were tested
            on different utterances or labels.
    """
    parts = {name: read_predictions(paths.predictions(corpus, name)) for name in systems}
    about = {name: part.about.get(name, {}) for name, part in parts.items()}
    some = {name: part for name, part in parts.items() if name in part.by_system}
    if not some:
        raise PipelineError(
            f"No system of {list(systems)} has predictions on {corpus}: set `enabled` of one to "
            "true and run `dvc repro`."
        )
    first = next(iter(some.values())).test_set
    for name, part in some.items():
        if not part.test_set.same_as(first):
            raise PipelineError(
                f"{paths.predictions(corpus, name)} is for other test utterances or labels than "
                f"{paths.predictions(corpus, next(iter(some)))}: run `dvc repro`."
            )
    return Predictions(first, {n: part.by_system[n] for n, part in some.items()}, about)


def _check_same(path: Path, system: str, run: pa.Table, first: pa.Table) -> None:
    for name in ("utterance", "dialogue", "fold", "actual"):
        if not run[name].equals(first[name]):
            what = "actual labels" if name == "actual" else f"{name}s"
            raise refused(path, f"{system} was tested on other {what} than the first system")


def _check_probabilities(
    path: Path, system: str, predicted: np.ndarray, probabilities: np.ndarray
) -> None:
    """Refuse what are no probabilities, or not of these predictions: the most probable classes."""
    chosen = np.take_along_axis(probabilities, predicted[..., None], axis=-1)[..., 0]
    if not (np.abs(probabilities.sum(-1) - 1) <= ROUNDING).all() or probabilities.min() < 0:
        raise refused(path, f"{system} has probabilities that do not add up to 1")
    if not (chosen >= probabilities.max(-1) - ROUNDING).all():
        raise refused(path, f"{system} predicts other classes than its most probable ones")


def _test_set(path: Path, run: pa.Table, classes: tuple[str, ...]) -> TestSet:
    utterances = tuple(run["utterance"].to_pylist())
    if repeated := [name for name, count in Counter(utterances).items() if count > 1]:
        raise refused(path, f"{len(repeated)} utterances stand in it twice, such as {repeated[0]}")
    return TestSet(
        classes=classes,
        utterances=utterances,
        dialogues=tuple(run["dialogue"].to_pylist()),
        folds=run["fold"].to_numpy(),
        actual=_class_numbers(path, run["actual"], classes),
    )


def _class_numbers(path: Path, names: pa.ChunkedArray, classes: Sequence[str]) -> np.ndarray:
    found = pc.index_in(names, pa.array(classes))
    if found.null_count:
        unknown = sorted(set(names.to_pylist()) - set(classes))
        raise refused(path, f"it has the labels {unknown}, expected some of {list(classes)}")
    numbers: np.ndarray = found.to_numpy().astype(np.int64)
    return numbers


def _probabilities(runs: Sequence[pa.Table]) -> np.ndarray | None:
    """[seed, utterance, class] float32, None where all are empty."""
    columns = [name for name in runs[0].column_names if name.startswith(PROBABILITY)]
    if all(run[name].null_count == len(run) for run in runs for name in columns):
        return None
    return np.stack([np.stack([run[c].to_numpy() for c in columns], axis=1) for run in runs])
