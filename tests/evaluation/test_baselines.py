"""Baselines: what they learn from, folds one after another, and a shortcut that changes nothing."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipeline.base import paths
from pipeline.evaluation.baselines import majority, pooled
from pipeline.evaluation.labelled import labelled
from pipeline.evaluation.linear import Guess, _rotated, logistic_regression, tfidf
from pipeline.records.features import read_features
from pipeline.records.protocol import Protocol
from tests.synthetic import CLASSES, lay_out


def test_baselines_learn_from_train_alone(workspace: Path) -> None:
    protocol = Protocol(CLASSES, lay_out("toy"))
    splits = labelled(protocol, 0)
    most = np.bincount(splits.labels["train"]).argmax()
    assert set(majority(splits)) == {most}
    texts = {e.utterance: f"word{e.label} and more" for e in protocol.entries}
    words = tfidf(splits, texts, (100.0,))
    assert (words.predicted == splits.labels["test"]).all()
    assert words.probabilities is not None
    assert words.probabilities.sum(1) == pytest.approx(1)
    assert (words.probabilities.argmax(1) == words.predicted).all()
    stores = {m: read_features(paths.features("toy", m)) for m in ("text", "audio", "visual")}
    guess = logistic_regression(splits, stores, (0.1, 1.0))
    assert (guess.predicted == splits.labels["test"]).mean() > 0.6


def test_fewer_features_give_the_same_logistic_regression() -> None:
    generator = np.random.default_rng(0)
    wide = {s: generator.normal(size=(n, 90)) for s, n in (("train", 40), ("test", 20))}
    labels = generator.integers(0, 3, 40)
    narrow = _rotated(wide)
    assert narrow["train"].shape == (40, 40) and narrow["test"].shape == (20, 40)
    scores = [
        LogisticRegression(tol=1e-10, max_iter=5000)
        .fit(matrices["train"], labels)
        .decision_function(matrices["test"])
        for matrices in (wide, narrow)
    ]
    assert np.abs(scores[0] - scores[1]).max() < 1e-5


def test_a_class_that_train_lacks_gets_no_probability(workspace: Path) -> None:
    entries = [e for e in lay_out("toy") if e.split != "train" or e.label != 1]
    protocol = Protocol(CLASSES, entries)
    splits = labelled(protocol, 0)
    found = tfidf(splits, {e.utterance: "word" for e in entries}, (1.0,))
    assert found.probabilities is not None
    assert found.probabilities.shape[1] == len(CLASSES) and (found.probabilities[:, 1] == 0).all()


def test_folds_stand_one_after_another() -> None:
    shares = np.array([[0.2, 0.8]])
    guesses = [Guess(np.array([1]), shares), Guess(np.array([0]), 1 - shares)]
    found = pooled(
        [
            ("tfidf", guesses[0]),
            ("majority", Guess(np.array([1]), None)),
            ("tfidf", guesses[1]),
            ("majority", Guess(np.array([0]), None)),
        ]
    )
    assert found["tfidf"].predicted.tolist() == [[1, 0]]
    assert found["tfidf"].probabilities is not None
    assert found["tfidf"].probabilities.tolist() == [[[0.2, 0.8], [0.8, pytest.approx(0.2)]]]
    assert found["majority"].probabilities is None
