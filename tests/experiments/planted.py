"""Outcomes of experiments with planted skill, as the files that DVC would keep of them."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.base import paths
from pipeline.experiments.plan import Experiment
from pipeline.experiments.revisions import Reader
from pipeline.records.predictions import (
    Predictions,
    SystemPredictions,
    TestSet,
    write_predictions,
)
from pipeline.records.protocol import Entry, Protocol, write_protocol

SYSTEM, BESIDE = "mcn_cl", ("majority", "logistic_regression")
CLASSES = ("a", "b", "c")
DIALOGUES, TURNS = 40, 6
Files = dict[tuple[str, str], bytes]  # by experiment and path
T = TypeVar("T")


def split(classes: Sequence[str] = CLASSES, dialogues: int = DIALOGUES) -> TestSet:
    """A test split in which the first class is twice as common as the others."""
    places = [(d, t) for d in range(dialogues) for t in range(TURNS)]
    shares = np.array([2] + [1] * (len(classes) - 1))
    generator = np.random.default_rng(0)
    return TestSet(
        classes=tuple(classes),
        utterances=tuple(f"d{d}_{t}" for d, t in places),
        dialogues=tuple(f"d{d}" for d, _ in places),
        folds=np.zeros(len(places), np.int32),
        actual=generator.choice(len(classes), len(places), p=shares / shares.sum()),
    )


def guesses(test_set: TestSet, skills: Sequence[float], start: int) -> np.ndarray:
    """[seed, utterance]: right as often as planted, else any class."""
    found = []
    for seed, skill in enumerate(skills):
        generator = np.random.default_rng([start, seed])
        wrong = generator.integers(len(test_set.classes), size=len(test_set.actual))
        found.append(np.where(generator.random(len(wrong)) < skill, test_set.actual, wrong))
    return np.stack(found)


def outcome(
    name: str,
    skills: Sequence[float],
    modalities: Sequence[str] = ("text",),
    test_set: TestSet | None = None,
    linear: float | None = 0.7,
    *,
    shuffled: bool = False,
) -> Files:
    """The files of one experiment on the corpus `x`, which trained SYSTEM and those beside it.

    Args:
        name: Of the experiment; it also draws where the system errs.
        skills: How often it is right, by seed; seeds are numbered from 1.
        modalities: That it sees.
        test_set: Its test split.
        linear: How often logistic regression is right; None: it is left out.
        shuffled: Whether the utterances stand in another order.
    """
    test_set = test_set or split()
    predictions = {
        SYSTEM: _predictions(guesses(test_set, skills, sum(name.encode())), first=1),
        "majority": _predictions(np.zeros((1, len(test_set.actual)), int), first=0),
    }
    if linear is not None:
        predictions["logistic_regression"] = _predictions(guesses(test_set, [linear], 7), first=0)
    tables = {
        system: Predictions(
            test_set, {system: predictions[system]} if system in predictions else {}
        )
        for system in (SYSTEM, *BESIDE)
    }
    block = {system: {"modalities": list(modalities)} for system in (SYSTEM, *BESIDE)}
    return {
        (name, "params.yaml"): json.dumps({"x": block}).encode(),
        (name, str(paths.protocol("x"))): _written(write_protocol, learnt()),
        **{
            (name, str(paths.predictions("x", system))): _written(
                write_predictions, _shuffled(table) if shuffled else table
            )
            for system, table in tables.items()
        },
    }


def learnt() -> Protocol:
    """A protocol whose first fold has 120 labelled train and 30 validation utterances."""
    counts = {(0, "train"): 120, (0, "valid"): 30, (1, "train"): 7}
    entries = [
        Entry(fold, part, "d", f"{part}{number}", "s", 0 if number < count else None)
        for (fold, part), count in counts.items()
        for number in range(count + 5)
    ]
    return Protocol(CLASSES, entries)


def _predictions(predicted: np.ndarray, first: int) -> SystemPredictions:
    return SystemPredictions(tuple(range(first, first + len(predicted))), predicted, None)


def _shuffled(found: Predictions) -> Predictions:
    order = np.random.default_rng(3).permutation(len(found.test_set.utterances))
    test_set = replace(
        found.test_set,
        utterances=tuple(found.test_set.utterances[n] for n in order),
        dialogues=tuple(found.test_set.dialogues[n] for n in order),
        actual=found.test_set.actual[order],
    )
    predictions = {
        name: replace(s, predicted=s.predicted[:, order]) for name, s in found.by_system.items()
    }
    return Predictions(test_set, predictions)


def _written(write: Callable[[Path, T], None], content: T) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "p"), content)
        return Path(folder, "p").read_bytes()


def reader(files: Mapping[tuple[str, str], bytes]) -> Reader:
    """Reads what was planted; a lock that was not is empty."""
    planted = {(name, "dvc.lock"): b"{}" for name, _ in files} | dict(files)
    return lambda name, path: planted[name, str(path)]


def plan(variants: Sequence[str] = ("full", "text", "audio", "visual")) -> list[Experiment]:
    """Experiments r-VARIANT, the reference first."""
    return [
        Experiment(v, f"r-{v}", (f"model.x.v={v}",), allow_missing=False, targets=())
        for v in variants
    ]
