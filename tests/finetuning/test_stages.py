"""The stages `finetune` and `text` together, and the system that reads both."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.features.text.extract import network
from pipeline.records.epochs import read_epochs
from pipeline.records.features import read_features
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import read_protocol
from stages import finetune, text, train
from tests.conftest import PARAMS
from tests.finetuning import tiny
from tests.finetuning.test_finetune import encode
from tests.finetuning.tiny import CORPUS, lay_out_toy


@pytest.fixture(autouse=True)
def toy(workspace):
    lay_out_toy()
    network.cache_clear()  # a process has one working folder, but for tests


def params(**changes):
    """The params of demo_meld for the toy corpus, with what the tiny network needs."""
    known = read_params(PARAMS)
    sections = {"text": tiny.text_settings(), "finetune": tiny.settings(**changes)}
    block = known.blocks["demo_meld"] | {name: s.model_dump() for name, s in sections.items()}
    return replace(
        known, corpora=[CORPUS], compute=tiny.compute().model_dump(), blocks={CORPUS: block}
    )


def predictions():
    """The system's predictions of test by utterance, and what is printed beside them."""
    epochs, about = read_epochs(paths.epochs(CORPUS, "finetuned_head"))
    test = [epoch for epoch in epochs if epoch.split == "test"]
    return {u: p for e in test for u, p in zip(e.utterances, e.probabilities, strict=True)}, about


@pytest.mark.slow
def test_features_are_those_of_the_fine_tuned_encoder_and_its_head_predicts_from_them():
    chosen = params(epochs=6, patience=6)
    finetune.work(chosen, CORPUS)
    text.work(chosen, CORPUS)
    store = read_features(paths.features(CORPUS, "text"))
    assert store.provenance["encoder"]["revision"] == "none, fine-tuned on toy"
    rows = read_manifest(paths.manifest(CORPUS))
    assert store.values == pytest.approx(encode(paths.text_encoder(CORPUS), rows), abs=1e-5)
    train.work(chosen, CORPUS, "finetuned_head")
    predicted, _ = predictions()
    entries = read_protocol(paths.protocol(CORPUS)).entries
    labels = {e.utterance: e.label for e in entries if e.split == "test"}
    right = [predicted[name].argmax() == label for name, label in labels.items()]
    assert np.mean(right) > 0.8, "the label is a word of the text"


def test_switched_off_the_pretrained_encoder_reads():
    chosen = params(enabled=False)
    finetune.work(chosen, CORPUS)
    text.work(chosen, CORPUS)
    store = read_features(paths.features(CORPUS, "text"))
    assert store.provenance["encoder"]["revision"] == "none"
    assert json.loads(paths.metrics(CORPUS, "finetune.json").read_text()) == {}
    rows = read_manifest(paths.manifest(CORPUS))
    assert store.values == pytest.approx(encode(paths.pretrained(CORPUS, "text"), rows), abs=1e-5)
    train.work(chosen, CORPUS, "finetuned_head")
    predicted, about = predictions()
    assert not predicted and "finetune.enabled is false" in about["left_out"]
