"""Outcomes of experiments with planted skill, as the files that DVC would keep of them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.base import paths
from pipeline.experiments.kept import Reader
from pipeline.experiments.plan import Experiment
from pipeline.records.predictions import (
    MODEL,
    ModelPredictions,
    Predictions,
    TestSet,
    write_predictions,
)

CLASSES = ("a", "b", "c")
DIALOGUES, TURNS = 40, 6
Files = dict[tuple[str, str], bytes]  # by experiment and path


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
    baselines: bool = True,
) -> Files:
    """The files of one experiment on the corpus `x`.

    Args:
        name: Of the experiment; it also draws where the model errs.
        skills: How often it is right, by seed; seeds are numbered from 1.
        modalities: That its model sees.
        test_set: Its test split.
        linear: How often logistic regression is right; None: it was not fitted.
        shuffled: Whether the utterances stand in another order.
        baselines: Whether it has any.
    """
    test_set = test_set or split()
    predictions = {MODEL: _predictions(guesses(test_set, skills, sum(name.encode())), first=1)}
    if baselines:
        predictions["majority"] = _predictions(np.zeros((1, len(test_set.actual)), int), first=0)
    if baselines and linear is not None:
        predictions["logistic_regression"] = _predictions(guesses(test_set, [linear], 7), first=0)
    found = Predictions(test_set, predictions)
    counts = {"train": {"a": 100, "b": 20}, "valid": {"a": 20, "b": 10}, "test": {}}
    about = {"features": {key: {} for key in modalities}, "labelled_utterances": counts}
    return {
        (name, str(paths.predictions("x"))): _bytes(_shuffled(found) if shuffled else found),
        (name, str(paths.metrics("x", "run.json"))): json.dumps(about).encode(),
    }


def _predictions(predicted: np.ndarray, first: int) -> ModelPredictions:
    return ModelPredictions(tuple(range(first, first + len(predicted))), predicted, None)


def _shuffled(found: Predictions) -> Predictions:
    order = np.random.default_rng(3).permutation(len(found.test_set.utterances))
    test_set = replace(
        found.test_set,
        utterances=tuple(found.test_set.utterances[n] for n in order),
        dialogues=tuple(found.test_set.dialogues[n] for n in order),
        actual=found.test_set.actual[order],
    )
    predictions = {
        name: replace(s, predicted=s.predicted[:, order]) for name, s in found.by_model.items()
    }
    return Predictions(test_set, predictions)


def _bytes(found: Predictions) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_predictions(Path(folder, "p"), found)
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
