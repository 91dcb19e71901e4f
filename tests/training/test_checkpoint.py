"""Checkpoints: they give what was recorded, say what they are, and refuse other features."""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.nn.batch import collate
from pipeline.records.epochs import read_epochs
from pipeline.records.features import Features, read_features
from pipeline.systems.base import Shape
from pipeline.systems.mcn_cl import McnCl
from pipeline.training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from pipeline.training.data import dialogues
from pipeline.training.inference import probabilities
from pipeline.training.train import train_system
from tests.synthetic import CLASSES, lay_out
from tests.systems.dialogues import settings_of
from tests.training.toy import toy

SECOND = paths.checkpoints("toy", "mcn_cl") / "fold0-seed2.safetensors"


def stores() -> dict[str, Features]:
    return {m: read_features(paths.features("toy", m)) for m in ("text", "audio", "visual")}


def stores_about() -> dict[str, dict[str, Any]]:
    return {m: store.provenance for m, store in stores().items()}


@pytest.mark.slow
def test_the_checkpoint_gives_the_recorded_probabilities(workspace: Path) -> None:
    entries = lay_out("toy")
    train_system(toy())
    model, facts = load_checkpoint(SECOND, stores_about())
    assert facts["classes"] == list(CLASSES) and facts["seed"] == 2
    test = dialogues(entries, stores(), defaultdict(str), 0, "test")
    (row,) = (
        r
        for r in read_epochs(paths.epochs("toy", "mcn_cl"))[0]
        if r.seed == 2 and r.selected and r.split == "test"
    )
    with torch.inference_mode():
        alone = torch.cat([model(collate([d])).logits[0].softmax(-1) for d in test])
    assert np.abs(alone.numpy() - row.probabilities).max() < 1e-5


@pytest.mark.slow
def test_says_what_it_was_made_from(workspace: Path) -> None:
    lay_out("toy")
    training = toy()
    train_system(training)
    _, facts = load_checkpoint(SECOND, stores_about())
    assert facts["features"] == stores_about()
    given = training.settings.model_dump(exclude={"enabled", "workers"})
    assert facts["settings"] == json.loads(json.dumps(given)) and facts["system"] == "mcn_cl"


@pytest.mark.slow
def test_other_features_are_refused_and_each_difference_is_named(workspace: Path) -> None:
    lay_out("toy")
    train_system(toy())
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


@pytest.mark.slow
def test_what_moves_last_bits_alone_is_no_difference(workspace: Path) -> None:
    lay_out("toy")
    train_system(toy())
    about = stores_about()
    about["text"] |= {"versions": {"torch": "9.9"}, "compute": {"threads": 64}}
    load_checkpoint(SECOND, about)


def test_a_damaged_file_and_another_version_are_told(workspace: Path) -> None:
    Path("broken.safetensors").write_bytes(b"no such thing")
    with pytest.raises(PipelineError, match="cannot be read as a checkpoint"):
        load_checkpoint(Path("broken.safetensors"), {})
    save_file({"x": torch.zeros(1)}, "old.safetensors", {"erc": '{"version": "checkpoint/0"}'})
    with pytest.raises(PipelineError, match="'checkpoint/0', expected 'checkpoint/3'"):
        load_checkpoint(Path("old.safetensors"), {})
    save_file({"x": torch.zeros(1)}, "encoder.safetensors")
    with pytest.raises(PipelineError, match="is not a checkpoint of this pipeline"):
        load_checkpoint(Path("encoder.safetensors"), {})


@pytest.mark.parametrize("change", [{"settings": {"wheels": 4}}, {"shape": {}}, {"system": "os"}])
def test_weights_of_another_model_are_told(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, {"x": torch.zeros(1)}, small()[1] | change)
    with pytest.raises(PipelineError, match="does not fit the model as its code is here"):
        load_checkpoint(path, {})


def small() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The state of an untrained model that tells three classes apart, and what it says."""
    settings = settings_of(projection=4, layers=1, heads=4, modalities=("text", "audio"))
    shape = Shape({"text": 3, "audio": 2}, classes=3, speakers=2)
    facts = {
        "corpus": "toy",
        "system": "mcn_cl",
        "settings": settings.model_dump(mode="json", exclude={"enabled", "workers"}),
        "shape": asdict(shape),
        "sizes": {},
        "classes": ["a", "b", "c"],
        "features": {m: {"dimension": d, "extractor": m} for m, d in shape.features.items()},
    }
    return McnCl(settings, shape).state_dict(), facts


def edited(path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> None:
    """Change a checkpoint as somebody with an editor would."""
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["erc"])
    state = load_file(path)
    change(facts, state)
    save_file(state, path, {"erc": json.dumps(facts)})


def flip_a_bit(facts: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
    state["inputs.missing"].view(torch.int32)[0] ^= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda facts, state: facts["settings"].update(heads=2),
        lambda facts, state: facts["settings"].update(residual=True),
        lambda facts, state: facts["settings"].update(limit=3.0),
        lambda facts, state: facts["classes"].reverse(),
        lambda facts, state: facts.update(corpus="other"),
        lambda facts, state: facts["features"]["text"].update(extractor="other"),
        lambda facts, state: facts.update(sha256="0" * 64),
        lambda facts, state: facts.pop("sha256"),
        flip_a_bit,
    ],
)
def test_a_checkpoint_that_was_changed_is_refused(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "x.safetensors"
    state, facts = small()
    save_checkpoint(path, state, facts)
    model, read = load_checkpoint(path, facts["features"])
    assert read == {"version": "checkpoint/3", **facts}
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    edited(path, change)
    for reading in (read_facts, lambda path: load_checkpoint(path, facts["features"])):
        with pytest.raises(PipelineError, match="was changed since it was written"):
            reading(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["inputs.missing", "inputs.encoders.text.standardise.scale"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    state, facts = small()
    state[name].view(-1)[0] = value
    save_checkpoint(tmp_path / "x.safetensors", state, facts)
    with pytest.raises(PipelineError, match=f"weights that are NaN or infinite .{name}"):
        load_checkpoint(tmp_path / "x.safetensors", facts["features"])


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("shape", {"classes": 2}, "tells 2 classes apart, names"),
        ("settings", {"width": 4096, "layers": 24}, "classifier.combine.1.bias: got F32 .16."),
        ("settings", {"width": 10**9}, "width: Input should be less than or equal to 4096"),
        ("settings", {"layers": 10**9}, "layers: Input should be less than or equal to 24"),
        ("settings", {"layers": 2}, "mcn.layers.1.*got nothing"),
        ("settings", {"mcn": False}, "mcn.layers.0.*expected no such tensor"),
        ("settings", {"dropout": float("nan")}, "dropout: Input should be a finite number"),
        ("shape", {"features": {"text": 10**12, "audio": 2}}, "text: Input should be less than"),
        ("shape", {"features": {"text": 5, "audio": 2}}, "its features are"),
        ("shape", {"features": {"smell": 5}}, "'text', 'audio' or 'visual'"),
        ("sizes", {"terms": 3}, "unexpected keyword argument 'terms'"),
        ("sizes", {"terms": 10**12}, "terms: Input should be less than"),
    ],
)
def test_a_model_that_its_tensors_are_not_is_refused(
    tmp_path: Path, part: str, change: dict[str, Any], message: str
) -> None:
    state, facts = small()
    save_checkpoint(tmp_path / "x.safetensors", state, facts | {part: facts[part] | change})
    with pytest.raises(PipelineError, match=f"(?s)does not fit the model.*{message}"):
        load_checkpoint(tmp_path / "x.safetensors", facts["features"])


@pytest.mark.parametrize("name", ["base", "registry", "os", "../x", "mcn_cl.x", ""])
def test_no_other_module_is_imported_than_a_system(tmp_path: Path, name: str) -> None:
    state, facts = small()
    save_checkpoint(tmp_path / "x.safetensors", state, facts | {"system": name})
    with pytest.raises(PipelineError, match="does not fit the model"):
        read_facts(tmp_path / "x.safetensors")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", '{"version": "checkpoint/3"}'])
def test_facts_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", {"erc": text})
    with pytest.raises(PipelineError, match=r"cannot be read as a|does not fit"):
        read_facts(tmp_path / "x.safetensors")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    with pytest.raises(PipelineError, match="it is not a file"):
        read_facts(tmp_path / "x.safetensors")


def test_scores_that_are_not_finite_are_refused(workspace: Path) -> None:
    entries = lay_out("toy")
    train_system(toy(seeds=(2,)))
    model, _ = load_checkpoint(SECOND, stores_about())
    test = dialogues(entries, stores(), defaultdict(str), 0, "test")
    with torch.no_grad():
        model.classifier.combine[1].weight.fill_(1e38)
    with pytest.raises(PipelineError, match=r"scores are NaN or infinite.*test/dia\d"):
        probabilities(model, test)
