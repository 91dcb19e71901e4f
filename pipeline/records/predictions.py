"""The table of predictions: one row per model, run and test utterance.

Every figure can be computed again from it, and two models can be compared pair by pair: nothing
that compares reads anything else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.base.errors import PipelineError
from pipeline.base.tables import read_provenance, read_table, refused, schema_of, write_table
from pipeline.records.protocol import class_names

VERSION = "predictions/2"
PROBABILITY = "probability of "
MODEL = "MCN-CL"
MAJORITY = "majority"
NAMES = {
    MAJORITY: "majority class",
    "tfidf": "TF-IDF",
    "logistic_regression": "logistic regression",
    "finetuned_head": "the fine-tuned encoder alone",
}
ROUNDING = 1e-3  # of probabilities; what is larger was no arithmetic
BASELINE_SEED = 0  # a baseline has one run


def model_name(model: str) -> str:
    """A model's name for readers."""
    return NAMES.get(model, model)


@dataclass(frozen=True)
class Prediction:
    """A row, without the probabilities of the classes: a column each, null where there are none."""

    model: str
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

    @property
    def clusters(self) -> np.ndarray:
        """[utterance] numbers of the dialogues from 0, by first appearance."""
        place = {name: number for number, name in enumerate(dict.fromkeys(self.dialogues))}
        return np.array([place[name] for name in self.dialogues])


@dataclass(frozen=True)
class ModelPredictions:
    """One model's predictions for the test utterances.

    Attributes:
        seeds: Of its runs.
        predicted: [seed, utterance] class numbers.
        probabilities: [seed, utterance, class] float32; None where a model gives none.
    """

    seeds: tuple[int, ...]
    predicted: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Predictions:
    """Test utterances and every model's predictions for them, `MODEL` first, then the baselines."""

    test_set: TestSet
    by_model: Mapping[str, ModelPredictions]


def schema(classes: Sequence[str]) -> pa.Schema:
    """Arrow schema; the columns of probabilities are named after the classes."""
    probabilities = [pa.field(f"{PROBABILITY}{name}", pa.float32()) for name in classes]
    return pa.schema([*schema_of(Prediction), *probabilities])


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the table."""
    parts = [
        _rows(predictions.test_set, model, of_model, run)
        for model, of_model in predictions.by_model.items()
        for run in range(len(of_model.seeds))
    ]
    provenance = {"classes": list(predictions.test_set.classes)}
    write_table(path, pa.concat_tables(parts), VERSION, provenance)


def _rows(test_set: TestSet, model: str, predictions: ModelPredictions, run: int) -> pa.Table:
    count, names = len(test_set.utterances), np.array(test_set.classes, object)
    probabilities: list[np.ndarray | list[None]] = [[None] * count for _ in names]
    if predictions.probabilities is not None:
        probabilities = list(predictions.probabilities[run].T.astype(np.float32))
    cells = [
        [model] * count,
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
    """Reads the table.

    Raises:
        PipelineError: The file is missing, of another version, or no table of predictions: its
            models were not all tested on the same utterances and labels, a label is none of the
            classes, or probabilities are none, or not those of what was predicted.
    """
    classes = class_names(path, read_provenance(path, VERSION))
    table, _ = read_table(path, schema(classes), VERSION)
    for column in ("actual", "predicted"):
        _class_numbers(path, table[column], classes)
    first: pa.Table | None = None
    by_model = {}
    for model in pc.unique(table["model"]).to_pylist():
        rows = table.filter(pc.equal(table["model"], model))
        seeds = tuple(pc.unique(rows["seed"]).to_pylist())
        runs = [rows.filter(pc.equal(rows["seed"], seed)) for seed in seeds]
        first = first or runs[0]
        for run in runs:
            _check_same(path, model, run, first)
        predicted = np.stack([_class_numbers(path, run["predicted"], classes) for run in runs])
        probabilities = _probabilities(runs)
        if probabilities is not None:
            _check_probabilities(path, model, predicted, probabilities)
        by_model[model] = ModelPredictions(seeds, predicted, probabilities)
    if first is None:
        raise PipelineError(f"{path} holds no prediction; delete it and run `dvc repro`.")
    return Predictions(_test_set(path, first, classes), by_model)


def _check_same(path: Path, model: str, run: pa.Table, first: pa.Table) -> None:
    for name in ("utterance", "dialogue", "fold", "actual"):
        if not run[name].equals(first[name]):
            what = "actual labels" if name == "actual" else f"{name}s"
            raise refused(path, f"{model} was tested on other {what} than the first model")


def _check_probabilities(
    path: Path, model: str, predicted: np.ndarray, probabilities: np.ndarray
) -> None:
    """Refuse what are no probabilities, or not of these predictions: the most probable classes."""
    chosen = np.take_along_axis(probabilities, predicted[..., None], axis=-1)[..., 0]
    if not (np.abs(probabilities.sum(-1) - 1) <= ROUNDING).all() or probabilities.min() < 0:
        raise refused(path, f"{model} has probabilities that do not add up to 1")
    if not (chosen >= probabilities.max(-1) - ROUNDING).all():
        raise refused(path, f"{model} predicts other classes than its most probable ones")


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
