"""Baselines: what they learn from, the order of folds, and a shortcut that changes no score."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pipeline.evaluation.baselines import (
    FINETUNED_HEAD,
    FoldPredictions,
    LabelledSplits,
    _rotate,
    chosen_baselines,
    fit_baselines,
    labelled_splits,
    logistic_regression,
    majority,
    pool_folds,
    predict_finetuned_head,
    tfidf,
)
from pipeline.evaluation.settings import EvaluateSettings
from sklearn.linear_model import LogisticRegression

from pipeline.base import paths
from pipeline.evaluation.evaluate import labelled_test_set
from pipeline.records.features import read_features, write_features
from pipeline.records.head import Head, write_head
from pipeline.records.protocol import Protocol, read_protocol
from tests.synthetic import CLASSES, DIMENSIONS, lay_out

WIDTH = DIMENSIONS["text"]


def test_baselines_learn_from_train_alone(workspace: Path) -> None:
    protocol = Protocol(CLASSES, lay_out("toy"))
    splits = labelled_splits(protocol, 0)
    most = np.bincount(splits.labels["train"]).argmax()
    assert set(majority(splits)) == {most}
    texts = {e.utterance: f"word{e.label} and more" for e in protocol.entries}
    words = tfidf(splits, texts, (100.0,))
    assert (words.predicted == splits.labels["test"]).all()
    assert words.probabilities is not None
    assert words.probabilities.sum(1) == pytest.approx(1)
    assert (words.probabilities.argmax(1) == words.predicted).all()
    stores = {m: read_features(paths.features("toy", m)) for m in ("text", "audio", "visual")}
    linear = logistic_regression(splits, stores, (0.1, 1.0))
    assert (linear.predicted == splits.labels["test"]).mean() > 0.6


def test_tfidf_takes_words_and_marks_apart() -> None:
    texts = {"a": "oh no!", "b": "oh yes.", "c": "what?", "d": "so!", "e": "well."}
    utterances = {"train": ["a", "b"], "valid": ["d", "e"], "test": ["d", "e", "c"]}
    labels = {"train": [1, 0], "valid": [1, 0], "test": [1, 0, 0]}
    splits = LabelledSplits(2, utterances, {s: np.array(v) for s, v in labels.items()})
    predicted = tfidf(splits, texts, (100.0,)).predicted
    assert predicted.tolist()[:2] == [1, 0], "the mark alone is known from train"


def test_fewer_features_give_the_same_logistic_regression() -> None:
    generator = np.random.default_rng(0)
    wide = {s: generator.normal(size=(n, 90)) for s, n in (("train", 40), ("test", 20))}
    labels = generator.integers(0, 3, 40)
    narrow = _rotate(wide)
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
    splits = labelled_splits(protocol, 0)
    words = tfidf(splits, {e.utterance: "word" for e in entries}, (1.0,))
    assert words.probabilities is not None
    assert words.probabilities.shape[1] == len(CLASSES) and (words.probabilities[:, 1] == 0).all()


def test_folds_stand_one_after_another() -> None:
    probabilities = np.array([[0.2, 0.8]])
    folds = [
        FoldPredictions(np.array([1]), probabilities),
        FoldPredictions(np.array([0]), 1 - probabilities),
    ]
    pooled = pool_folds(
        [
            ("tfidf", folds[0]),
            ("majority", FoldPredictions(np.array([1]), None)),
            ("tfidf", folds[1]),
            ("majority", FoldPredictions(np.array([0]), None)),
        ]
    )
    assert pooled["tfidf"].predicted.tolist() == [[1, 0]]
    assert pooled["tfidf"].probabilities is not None
    assert pooled["tfidf"].probabilities.tolist() == [[[0.2, 0.8], [0.8, pytest.approx(0.2)]]]
    assert pooled["majority"].probabilities is None


def test_the_fine_tuned_head_predicts_the_test_split_from_stored_features(workspace: Path) -> None:
    lay_out("toy")
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(len(CLASSES), WIDTH)).astype(np.float32)
    bias = generator.normal(size=len(CLASSES)).astype(np.float32)
    write_head(paths.head("toy"), Head(CLASSES, weight, bias))
    store = read_features(paths.features("toy", "text"))
    protocol = read_protocol(paths.protocol("toy"))
    baselines = predict_finetuned_head(paths.head("toy"), protocol, {"text": store})
    predictions = baselines[FINETUNED_HEAD]
    test_set = labelled_test_set(protocol)
    place = {name: n for n, name in enumerate(store.utterances)}
    rows = [store.offsets[place[name]] for name in test_set.utterances]
    scores = store.values[rows] @ weight.T + bias
    assert predictions.predicted.tolist() == [scores.argmax(1).tolist()]
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert predictions.probabilities is not None
    assert predictions.probabilities[0] == pytest.approx(expected, abs=1e-5)


def test_there_is_no_head_baseline_without_fine_tuning_or_without_text(workspace: Path) -> None:
    lay_out("toy")
    protocol = read_protocol(paths.protocol("toy"))
    store = read_features(paths.features("toy", "text"))
    assert predict_finetuned_head(paths.head("toy"), protocol, {"text": store}) == {}
    write_head(paths.head("toy"), Head(CLASSES, np.zeros((7, WIDTH)), np.zeros(7)))
    assert predict_finetuned_head(paths.head("toy"), protocol, {"audio": store}) == {}


def test_without_a_word_in_train_tfidf_is_left_out_of_all_folds(workspace: Path) -> None:
    protocol = Protocol(CLASSES, lay_out("toy"))
    settings = EvaluateSettings(baselines=("majority", "tfidf"), regularisation=(1.0,))
    texts = {e.utterance: "word" if e.split == "test" else " \u3000\n" for e in protocol.entries}
    assert chosen_baselines(protocol, texts, settings) == ["majority"]
    assert [name for name, _ in fit_baselines(protocol, {}, texts, settings)] == ["majority"]
    texts[next(e.utterance for e in protocol.entries if e.split == "train")] = "!"
    assert chosen_baselines(protocol, texts, settings) == ["majority", "tfidf"]
    assert dict(fit_baselines(protocol, {}, texts, settings)).keys() == {"majority", "tfidf"}


def test_a_modality_that_nobody_has_in_train_changes_no_regression(workspace: Path) -> None:
    protocol = Protocol(CLASSES, lay_out("toy"))
    splits = labelled_splits(protocol, 0)
    text = read_features(paths.features("toy", "text"))
    train = set(splits.utterances["train"])
    absent = [(u, None if u in train else np.ones((1, 4), np.float32)) for u in text.utterances]
    write_features(paths.features("toy", "audio"), absent, {})
    audio = read_features(paths.features("toy", "audio"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        both = logistic_regression(splits, {"text": text, "audio": audio}, (1.0,))
    assert (both.predicted == logistic_regression(splits, {"text": text}, (1.0,)).predicted).all()
