"""The table of predictions: one row per model, run and test utterance.

Every figure can be computed again from it, and two models can be compared pair by pair: nothing
that compares reads anything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.base.errors import PipelineError
from pipeline.base.tables import read_about, read_table, write_table

VERSION = "predictions/2"
MODEL = "MCN-CL"
BASELINE_SEED = 0  # a baseline has one run
PROBABILITY = "probability of "


@dataclass(frozen=True)
class Tested:
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
class Said:
    """What one model says of the test utterances.

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
    """Test utterances and what each model says of them, `MODEL` first, then the baselines."""

    tested: Tested
    said: Mapping[str, Said]


def schema(classes: Sequence[str]) -> pa.Schema:
    """The columns; those of the probabilities are named after the classes."""
    return pa.schema(
        [
            pa.field("model", pa.string(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
            pa.field("fold", pa.int32(), nullable=False),
            pa.field("dialogue", pa.string(), nullable=False),
            pa.field("utterance", pa.string(), nullable=False),
            pa.field("actual", pa.string(), nullable=False),
            pa.field("predicted", pa.string(), nullable=False),
            *(pa.field(f"{PROBABILITY}{name}", pa.float32()) for name in classes),
        ]
    )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the table."""
    columns = schema(predictions.tested.classes)
    parts = [
        _part(columns, predictions.tested, model, said, run)
        for model, said in predictions.said.items()
        for run in range(len(said.seeds))
    ]
    about = {"classes": list(predictions.tested.classes)}
    write_table(path, pa.concat_tables(parts), VERSION, about)


def _part(columns: pa.Schema, tested: Tested, model: str, said: Said, run: int) -> pa.Table:
    count, names = len(tested.utterances), np.array(tested.classes, object)
    shares: list[np.ndarray | list[None]] = [[None] * count for _ in names]
    if said.probabilities is not None:
        shares = list(said.probabilities[run].T.astype(np.float32))
    cells = [
        [model] * count,
        [said.seeds[run]] * count,
        tested.folds,
        tested.dialogues,
        tested.utterances,
        names[tested.actual],
        names[said.predicted[run]],
        *shares,
    ]
    arrays = [pa.array(cell, field.type) for cell, field in zip(cells, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=columns)


def read_predictions(path: Path) -> Predictions:
    """Reads the table.

    Raises:
        PipelineError: The file is absent, of another version, or its models were not all tested on
            the same utterances.
    """
    classes = tuple(read_about(path, VERSION)["classes"])
    table, _ = read_table(path, schema(classes), VERSION)
    tested: Tested | None = None
    said = {}
    for model in pc.unique(table["model"]).to_pylist():
        rows = table.filter(pc.equal(table["model"], model))
        seeds = tuple(pc.unique(rows["seed"]).to_pylist())
        runs = [rows.filter(pc.equal(rows["seed"], seed)) for seed in seeds]
        for run in runs:
            found = _tested(run, classes)
            tested = tested or found
            if found.utterances != tested.utterances:
                raise PipelineError(
                    f"{path}: {model} was tested on other utterances than the first model; "
                    "delete it and run `dvc repro`."
                )
        said[model] = Said(seeds, np.stack([_predicted(r, classes) for r in runs]), _shares(runs))
    if tested is None:
        raise PipelineError(f"{path} holds no prediction; delete it and run `dvc repro`.")
    return Predictions(tested, said)


def _tested(run: pa.Table, classes: Sequence[str]) -> Tested:
    return Tested(
        classes=tuple(classes),
        utterances=tuple(run["utterance"].to_pylist()),
        dialogues=tuple(run["dialogue"].to_pylist()),
        folds=run["fold"].to_numpy(),
        actual=_numbers(run["actual"], classes),
    )


def _predicted(run: pa.Table, classes: Sequence[str]) -> np.ndarray:
    return _numbers(run["predicted"], classes)


def _numbers(column: pa.ChunkedArray, classes: Sequence[str]) -> np.ndarray:
    found: np.ndarray = pc.index_in(column, pa.array(classes)).to_numpy().astype(np.int64)
    return found


def _shares(runs: Sequence[pa.Table]) -> np.ndarray | None:
    """[seed, utterance, class]."""
    columns = [name for name in runs[0].column_names if name.startswith(PROBABILITY)]
    if runs[0][columns[0]].null_count:
        return None
    return np.stack([np.stack([run[c].to_numpy() for c in columns], axis=1) for run in runs])


MAJORITY = "majority"
NAMES = {
    MAJORITY: "majority class",
    "tfidf": "TF-IDF",
    "logistic_regression": "logistic regression",
    "finetuned_head": "the fine-tuned encoder alone",
}


def model_name(model: str) -> str:
    """A model as a reader knows it."""
    return NAMES.get(model, model)
