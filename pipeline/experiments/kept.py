"""What experiments left behind: test labels and predictions, read from DVC without a checkout."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import paths
from pipeline.errors import PipelineError
from pipeline.evaluation import baselines
from pipeline.evaluation.labelled import labelled
from pipeline.evaluation.predictions import MODEL, VERSION
from pipeline.protocol import read_protocol
from pipeline.tables import read_about

# Gives the bytes of a file of an experiment: by the experiment's name in DVC and the file's path.
Reader = Callable[[str, Path], bytes]


@dataclass(frozen=True)
class Truth:
    """The labelled test utterances of a corpus, folds pooled.

    Attributes:
        classes: Names by class number.
        utterances: Their ids.
        actual: [utterance] class numbers.
        dialogues: [utterance] dialogue numbers from 0.
        majority: [utterance] most frequent class of the train split that goes with it.
        folds: How many the protocol has.
        learned: Labelled utterances of the first fold's `train` and `valid`.
    """

    classes: tuple[str, ...]
    utterances: list[str]
    actual: np.ndarray
    dialogues: np.ndarray
    majority: np.ndarray
    folds: int
    learned: dict[str, int]


@dataclass(frozen=True)
class Outcome:
    """What one experiment says of a corpus.

    Attributes:
        seeds: Of its runs.
        modalities: That its model sees.
        predicted: [seed, utterance] class numbers, in the order of the test split.
        baselines: Its baselines' figures in percent, by name.
    """

    seeds: tuple[int, ...]
    modalities: tuple[str, ...]
    predicted: np.ndarray
    baselines: dict[str, Any]


def dvc_reader() -> Reader:
    """Reads from DVC's cache, and what git keeps from git."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    system = cache(lambda name: DVCFileSystem(".", rev=name))  # opening one takes a second

    def read(name: str, path: Path) -> bytes:
        try:
            content: bytes = system(name).read_bytes(path.as_posix())
        except (DvcException, OSError) as error:
            raise PipelineError(
                f"The experiment {name} is there, but its {path} is not: {error}. Was DVC's cache "
                f"emptied? `dvc exp remove {name}`, then run this again."
            ) from error
        return content

    return read


def read_truth(read: Reader, name: str, corpus: str) -> Truth:
    """Reads a corpus' test split from an experiment."""
    with _fetched(read, name, paths.protocol(corpus)) as file:
        protocol = read_protocol(file)
    folds = [labelled(protocol, fold) for fold in protocol.folds]
    utterances = [u for fold in folds for u in fold.utterances["test"]]
    dialogue = {entry.utterance: entry.dialogue for entry in protocol.entries}
    _, numbers = np.unique([dialogue[u] for u in utterances], return_inverse=True)
    return Truth(
        classes=protocol.classes,
        utterances=utterances,
        actual=np.concatenate([fold.labels["test"] for fold in folds]),
        dialogues=numbers,
        majority=np.concatenate([baselines.majority(fold) for fold in folds]),
        folds=len(folds),
        learned={split: len(folds[0].labels[split]) for split in ("train", "valid")},
    )


def read_outcome(read: Reader, name: str, corpus: str, truth: Truth) -> Outcome:
    """Reads what an experiment says of a corpus' test split.

    Raises:
        PipelineError: It was tested on other utterances, labels or classes than the reference.
    """
    with _fetched(read, name, paths.predictions(corpus)) as file:
        classes = tuple(read_about(file, VERSION)["classes"])
        rows = pd.read_parquet(file, columns=["model", "seed", "utterance", "actual", "predicted"])
    rows = rows[rows["model"] == MODEL]
    if classes != truth.classes or not _same_labels(rows, truth):
        raise PipelineError(
            f"{name} was tested on other utterances, labels or classes of {corpus} than the "
            "reference, so the two cannot be compared: leave `protocol` and `demo` to the recipe's "
            "`changes`."
        )
    predicted = rows.pivot(index="utterance", columns="seed", values="predicted")
    numbers = predicted.loc[truth.utterances].apply(lambda says: says.map(classes.index))
    metrics, about = (
        json.loads(read(name, paths.metrics(corpus, file))) for file in ("metrics.json", "run.json")
    )
    return Outcome(
        seeds=tuple(int(seed) for seed in predicted.columns),
        modalities=tuple(about["features"]),
        predicted=numbers.to_numpy().T,
        baselines=metrics["baselines"],
    )


def _same_labels(rows: pd.DataFrame, truth: Truth) -> bool:
    """Whether every seed was tested on the very utterances of the split, with their labels."""
    labels = [truth.classes[number] for number in truth.actual]
    expected = sorted(zip(truth.utterances, labels, strict=True))
    return all(
        sorted(zip(run["utterance"], run["actual"], strict=True)) == expected
        for _, run in rows.groupby("seed")
    )


@contextmanager
def _fetched(read: Reader, name: str, path: Path) -> Iterator[Path]:
    """A copy of an experiment's file, for what reads files."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(read(name, path))
        yield copy
