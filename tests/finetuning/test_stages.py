"""The stages `finetune` and `text` together, and what `evaluate` reads of both."""

import json

import numpy as np
import pytest

from pipeline.base import paths
from pipeline.base.params import Params, read_params
from pipeline.evaluation.baselines import FINETUNED_HEAD, predict_finetuned_head
from pipeline.features.text.extract import network
from pipeline.records.features import read_features
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import read_protocol
from stages import finetune, text
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
    return Params([CORPUS], [], tiny.compute(), {CORPUS: {**known.blocks["demo_meld"], **sections}})


def test_features_are_those_of_the_fine_tuned_encoder_and_the_head_fits_them():
    chosen = params(epochs=6, patience=6)
    finetune.work(chosen, CORPUS)
    text.work(chosen, CORPUS)
    store = read_features(paths.features(CORPUS, "text"))
    assert store.provenance["encoder"]["revision"] == "none, fine-tuned on toy"
    rows = read_manifest(paths.manifest(CORPUS))
    assert store.values == pytest.approx(encode(paths.text_encoder(CORPUS), rows), abs=1e-5)
    protocol = read_protocol(paths.protocol(CORPUS))
    baselines = predict_finetuned_head(paths.head(CORPUS), protocol, {"text": store})
    actual = [e.label for e in protocol.entries if e.split == "test"]
    assert np.mean(baselines[FINETUNED_HEAD].predicted[0] == actual) > 0.8, (
        "the label is a word of the text"
    )


def test_switched_off_the_pretrained_encoder_reads():
    chosen = params(enabled=False)
    finetune.work(chosen, CORPUS)
    text.work(chosen, CORPUS)
    store = read_features(paths.features(CORPUS, "text"))
    assert store.provenance["encoder"]["revision"] == "none"
    assert json.loads(paths.metrics(CORPUS, "finetune.json").read_text()) == {}
    rows = read_manifest(paths.manifest(CORPUS))
    assert store.values == pytest.approx(encode(paths.pretrained(CORPUS, "text"), rows), abs=1e-5)
