"""Fine-tuning: learning, outputs, isolation from the test split, resuming."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base import paths
from pipeline.features.text.encoder import TextEncoder
from pipeline.features.text.turns import read_turns, window_of
from pipeline.finetuning.learner import TextLearner
from pipeline.records.head import read_head
from pipeline.records.manifest import Origin, Utterance, read_manifest, write_manifest
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
from pipeline.training.fit import Run
from pipeline.weights.folder import load, read_record
from tests.finetuning import tiny
from tests.finetuning.tiny import CORPUS, finetune, lay_out_toy, text_settings

FOLDER = f"models/encoders/{CORPUS}/text"
WEIGHTS = f"{FOLDER}/model.safetensors"


@pytest.fixture(autouse=True)
def toy(workspace: Path) -> None:
    lay_out_toy()


def relabel(change: Callable[[Entry], Entry]) -> None:
    protocol = read_protocol(paths.protocol(CORPUS))
    entries = [change(entry) for entry in protocol.entries]
    write_protocol(paths.protocol(CORPUS), Protocol(protocol.classes, entries))


def rewrite(change: Callable[[Utterance], Utterance]) -> None:
    rows = [change(u) for u in read_manifest(paths.manifest(CORPUS))]
    write_manifest(paths.manifest(CORPUS), rows, Origin("meld", full=False))


def figures() -> dict[str, object]:
    return json.loads(paths.metrics(CORPUS, "finetune.json").read_text())


def encode(encoder: Path, utterances: list[Utterance]) -> np.ndarray:
    """[utterance, feature], as the stage `text` makes them."""
    text = text_settings()
    text_encoder = TextEncoder(
        folder=encoder,
        pooling=text.pooling,
        max_tokens=text.max_tokens,
        device="cpu",
        precision="float32",
        tokens_per_batch=64,
    )
    turns = [turn for _, turn in read_turns(utterances, window_of(text))]
    vectors = dict(text_encoder.encode(turns))
    return np.stack([vectors[index] for index in range(len(turns))])


@pytest.mark.slow
def test_it_learns_and_the_head_reaches_the_same_accuracy_from_features() -> None:
    finetune(epochs=8, patience=8)
    validation = figures()["validation"]
    assert validation["weighted_f1"] > 80, "the label is a word of the text"
    encoder = load(paths.text_encoder(CORPUS))
    assert encoder.folder == paths.text_encoder(CORPUS)
    valid = [u for u in read_manifest(paths.manifest(CORPUS)) if u.official_split == "dev"]
    names, vectors = [u.utterance for u in valid], encode(encoder.folder, valid)
    head = read_head(paths.head(CORPUS))
    assert head is not None
    predicted = (vectors @ head.weight.T + head.bias).argmax(1)
    protocol = read_protocol(paths.protocol(CORPUS))
    labels = {entry.utterance: entry.label for entry in protocol.entries}
    accuracy = 100 * np.mean([labels[name] == n for name, n in zip(names, predicted, strict=True)])
    assert round(accuracy, 2) == validation["accuracy"]


def test_the_record_names_its_origin() -> None:
    finetune(epochs=2)
    record = read_record(paths.text_encoder(CORPUS))
    before = read_record(paths.pretrained(CORPUS, "text"))
    assert record.name == before.name
    assert record.revision == f"{before.revision}, fine-tuned on toy"
    assert record.description == "Random. Fine-tuned on the train split of toy."
    assert {n: f for n, f in record.files.items() if n != "model.safetensors"} == {
        n: f for n, f in before.files.items() if n != "model.safetensors"
    }
    assert record.finetuned and len(record.finetuned.history) == 2
    assert record.finetuned.settings["finetune"]["epochs"] == 2


def test_two_runs_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = finetune(epochs=2)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    assert finetune(epochs=2) == first
    assert finetune(epochs=2, seed=2) != first


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [3, 9])  # in the first and second epoch of 7 steps
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, killed_at: int
) -> None:
    options = {"epochs": 2, "accumulation": 2, "sampling": "class_balanced"}
    undisturbed = finetune(**options)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr("pipeline.base.state.SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", math.inf)
    done: list[int] = []
    parts, last = TextLearner.parts, killed_at

    def step(learner: TextLearner, places: list[int]) -> Iterator[tuple[list[int], float]]:
        if len(done) == last:
            raise KeyboardInterrupt
        done.append(1)
        return parts(learner, places)

    monkeypatch.setattr(TextLearner, "parts", step)
    with pytest.raises(KeyboardInterrupt):
        finetune(**options)
    last = -1
    assert finetune(**options) == undisturbed
    assert len(done) == 14, "no step was done twice"


def test_what_is_done_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = finetune(epochs=2)
    monkeypatch.setattr(TextLearner, "__init__", lambda *_: pytest.fail("it trains again"))
    assert finetune(epochs=2) == first


@pytest.mark.slow
def test_poisoned_test_texts_and_labels_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = text_settings(context_turns=3, context_turns_after=3, speaker_marks="names")
    clean = finetune(text, epochs=2)
    relabel(lambda e: replace(e, label=((e.label or 0) + 1) % 7) if e.split == "test" else e)
    rewrite(
        lambda u: (
            replace(u, text="word1 word2", speaker="s9", sentiment="joy")
            if u.official_split == "test"
            else u
        )
    )
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    assert finetune(text, epochs=2) == clean
    rewrite(lambda u: replace(u, text="word1 word2") if u.official_split == "train" else u)
    assert finetune(text, epochs=2) != clean, "train texts do reach it"


@pytest.mark.slow
def test_poisoned_validation_labels_change_no_epochs_weights() -> None:
    def by_epoch() -> tuple[list[dict[str, torch.Tensor]], int]:
        learner, weights = TextLearner(tiny.task(epochs=4)), []
        for state in tiny.states(Run(learner)):
            if len(state.history) > len(weights):
                weights.append(learner.weights())
        return weights, state.best_epoch

    clean, chosen = by_epoch()
    assert chosen > 1
    relabel(lambda e: replace(e, label=6 - (e.label or 0)) if e.split == "valid" else e)
    poisoned, other = by_epoch()
    assert len(poisoned) == len(clean) == 4
    for before, after in zip(clean, poisoned, strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert other != chosen, "they choose the epoch"


def test_patience_ends_a_run() -> None:
    relabel(lambda e: replace(e, label=0) if e.split == "valid" else e)
    learner = TextLearner(tiny.task(epochs=30, patience=2))
    *before, last = tiny.states(Run(learner))
    assert len(last.history) == last.best_epoch + 2 < 30
    assert len(before) + 1 == len(last.history) * learner.steps_per_epoch
