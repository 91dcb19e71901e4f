"""The fine-tuned encoder's own predictions: those of its head on the features of test."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.base import paths
from pipeline.evaluation.evaluate import tested_in
from pipeline.evaluation.finetuned import NAME, finetuned_head
from pipeline.finetuning.head import Head, write_head
from pipeline.records.features import read_features
from pipeline.records.protocol import read_protocol
from tests.synthetic import CLASSES, DIMENSIONS, lay_out

WIDTH = DIMENSIONS["text"]


def test_it_says_what_the_head_says_of_test_alone(workspace: Path) -> None:
    lay_out("toy")
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(len(CLASSES), WIDTH)).astype(np.float32)
    bias = generator.normal(size=len(CLASSES)).astype(np.float32)
    write_head(paths.head("toy"), Head(CLASSES, weight, bias))
    store = read_features(paths.features("toy", "text"))
    protocol = read_protocol(paths.protocol("toy"))
    predictions = finetuned_head(paths.head("toy"), protocol, {"text": store})[NAME]
    test_set = tested_in(protocol)
    place = {name: n for n, name in enumerate(store.utterances)}
    rows = [store.offsets[place[name]] for name in test_set.utterances]
    scores = store.values[rows] @ weight.T + bias
    assert predictions.predicted.tolist() == [scores.argmax(1).tolist()]
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert predictions.probabilities is not None
    assert predictions.probabilities[0] == pytest.approx(expected, abs=1e-5)


def test_nothing_is_said_where_nothing_was_learned_or_no_text_is_used(workspace: Path) -> None:
    lay_out("toy")
    protocol = read_protocol(paths.protocol("toy"))
    store = read_features(paths.features("toy", "text"))
    assert finetuned_head(paths.head("toy"), protocol, {"text": store}) == {}
    write_head(paths.head("toy"), Head(CLASSES, np.zeros((7, WIDTH)), np.zeros(7)))
    assert finetuned_head(paths.head("toy"), protocol, {"audio": store}) == {}
