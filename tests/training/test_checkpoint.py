"""Checkpoints: they give what was recorded, say what they are, and refuse other features."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.records.epochs import read_epochs
from pipeline.records.features import Features, read_features
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.data import collate, dialogues
from pipeline.training.train import train_corpus
from tests.synthetic import CLASSES, lay_out
from tests.training.toy import toy_settings

SECOND = paths.checkpoints("toy") / "fold0-seed2.safetensors"


def stores() -> dict[str, Features]:
    return {m: read_features(paths.features("toy", m)) for m in ("text", "audio", "visual")}


def stores_about() -> dict[str, dict[str, Any]]:
    return {m: store.provenance for m, store in stores().items()}


def test_the_checkpoint_gives_the_recorded_probabilities(workspace: Path) -> None:
    entries = lay_out("toy")
    train_corpus("toy", toy_settings())
    model, facts = load_checkpoint(SECOND, stores_about())
    assert facts["classes"] == list(CLASSES) and facts["seed"] == 2
    test = dialogues(entries, stores(), 0, "test")
    (row,) = (
        r
        for r in read_epochs(paths.epochs("toy"))
        if r.seed == 2 and r.selected and r.split == "test"
    )
    with torch.inference_mode():
        alone = torch.cat([model(collate([d])).logits[0].softmax(-1) for d in test])
    assert np.abs(alone.numpy() - row.probabilities).max() < 1e-5


def test_says_what_it_was_made_from(workspace: Path) -> None:
    lay_out("toy")
    settings = toy_settings()
    train_corpus("toy", settings)
    _, facts = load_checkpoint(SECOND, stores_about())
    assert facts["features"] == stores_about()
    given = settings.train.model_dump(exclude={"workers"})
    assert facts["train"] == json.loads(json.dumps(given))


def test_other_features_are_refused_and_each_difference_is_named(workspace: Path) -> None:
    lay_out("toy")
    train_corpus("toy", toy_settings())
    about = stores_about()
    about["audio"] |= {"dimension": 88, "settings": {"feature_set": "eGeMAPSv02"}}
    about["text"] |= {"encoder": {"name": "roberta-base"}}
    del about["visual"]
    with pytest.raises(PipelineError) as refused:
        load_checkpoint(SECOND, about)
    message = str(refused.value)
    for line in (
        "audio.dimension: trained on 9, got 88",
        "audio.settings.feature_set: trained on 'synthetic', got 'eGeMAPSv02'",
        "text.encoder.name: trained on None, got 'roberta-base'",
        "visual: there is no such store",
    ):
        assert line in message
    assert len(message.splitlines()) == 6, "nothing else is complained about"


def test_what_moves_last_bits_alone_is_no_difference(workspace: Path) -> None:
    lay_out("toy")
    train_corpus("toy", toy_settings())
    about = stores_about()
    about["text"] |= {"versions": {"torch": "9.9"}, "compute": {"threads": 64}}
    load_checkpoint(SECOND, about)


def test_a_damaged_file_and_another_version_are_told(workspace: Path) -> None:
    Path("broken.safetensors").write_bytes(b"no such thing")
    with pytest.raises(PipelineError, match="cannot be read as a checkpoint"):
        load_checkpoint(Path("broken.safetensors"), {})
    save_file({"x": torch.zeros(1)}, "old.safetensors", {"erc": '{"version": "checkpoint/0"}'})
    with pytest.raises(PipelineError, match="'checkpoint/0', expected 'checkpoint/2'"):
        load_checkpoint(Path("old.safetensors"), {})
    save_file({"x": torch.zeros(1)}, "encoder.safetensors")
    with pytest.raises(PipelineError, match="is no checkpoint of this pipeline"):
        load_checkpoint(Path("encoder.safetensors"), {})


@pytest.mark.parametrize("model", [{"wheels": 4}, {"dimensions": {"text": 3}, "classes": 2}])
def test_weights_of_another_model_are_told(tmp_path: Path, model: dict[str, Any]) -> None:
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, {"x": torch.zeros(1)}, {"model": model, "features": {}})
    with pytest.raises(PipelineError, match="does not fit the model as its code is here"):
        load_checkpoint(path, {})
