"""Fine-tuning: learning, outputs, isolation from the test split, resuming."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base import paths
from pipeline.features.text.encoder import TextEncoder
from pipeline.features.text.turns import read_turns, window_of
from pipeline.finetuning.loop import Run
from pipeline.records.features import Features
from pipeline.records.head import predict_utterances, read_head
from pipeline.records.manifest import Origin, Utterance, read_manifest, write_manifest
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
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


def test_it_learns_and_the_head_reaches_the_same_accuracy_from_features() -> None:
    finetune(epochs=8, patience=8)
    validation = figures()["validation"]
    assert validation["weighted_f1"] > 80, "the label is a word of the text"
    encoder = load(paths.text_encoder(CORPUS))
    assert encoder.folder == paths.text_encoder(CORPUS) and not encoder.parts
    valid = [u for u in read_manifest(paths.manifest(CORPUS)) if u.official_split == "dev"]
    names, vectors = [u.utterance for u in valid], encode(encoder.folder, valid)
    store = Features(
        names, np.ones(len(names), bool), np.arange(len(names) + 1), vectors, {"dimension": 32}
    )
    head = read_head(paths.head(CORPUS))
    predicted = predict_utterances(head, store, names).argmax(1)
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
    first = finetune(epochs=2, sentiment=0.5, contrastive=0.5, ema=0.9)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    assert finetune(epochs=2, sentiment=0.5, contrastive=0.5, ema=0.9) == first
    assert finetune(epochs=2, sentiment=0.5, contrastive=0.5, ema=0.9, seed=2) != first


@pytest.mark.parametrize(
    "killed_at", [9, 16]
)  # in the second epoch of 7 steps, and in the first part
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, killed_at: int
) -> None:
    options = {"epochs": 2, "cross_fit": 2, "ema": 0.9, "sampling": "class_balanced"}
    undisturbed = finetune(**options)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr("pipeline.base.state.SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", math.inf)
    done: list[int] = []
    whole_step = Run._step

    def step(run: Run, places: list[int]) -> None:
        if len(done) == killed_at:
            raise KeyboardInterrupt
        done.append(1)
        whole_step(run, places)

    with monkeypatch.context() as killed:
        killed.setattr(Run, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            finetune(**options)
    monkeypatch.setattr(Run, "_step", lambda run, places: (done.append(1), whole_step(run, places)))
    assert finetune(**options) == undisturbed
    assert len(done) == 14 + 2 * 8, "no step was done twice: 2 epochs of 7, and of 4 in each part"


def test_what_is_done_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = finetune(epochs=2, cross_fit=2)
    monkeypatch.setattr(Run, "__init__", lambda *_: pytest.fail("it trains again"))
    assert finetune(epochs=2, cross_fit=2) == first


def test_poisoned_test_texts_and_labels_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = text_settings(context_turns=3, context_turns_after=3, speaker_marks="names")
    options = {"epochs": 2, "sentiment": 0.5, "cross_fit": 2}
    clean = finetune(text, **options)
    relabel(lambda e: replace(e, label=((e.label or 0) + 1) % 7) if e.split == "test" else e)
    rewrite(
        lambda u: (
            replace(u, text="word1 word2", speaker="s9", sentiment="joy")
            if u.official_split == "test"
            else u
        )
    )
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    assert finetune(text, **options) == clean
    rewrite(lambda u: replace(u, text="word1 word2") if u.official_split == "train" else u)
    assert finetune(text, **options) != clean, "train texts do reach it"


def test_poisoned_validation_labels_change_no_epochs_weights() -> None:
    def by_epoch() -> tuple[list[dict[str, torch.Tensor]], int]:
        run, weights = Run(tiny.task(epochs=4)), []
        for _ in run.steps():
            if len(run.state.history) > len(weights):
                weights.append(run.encoder.weights())
        return weights, run.state.best_epoch

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
    run = Run(tiny.task(epochs=30, patience=2))
    steps = sum(1 for _ in run.steps())
    assert len(run.state.history) == run.state.best_epoch + 2 < 30
    assert steps == len(run.state.history) * run.steps_per_epoch


def test_a_part_has_not_seen_its_dialogues(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Poisoned labels and texts of a part's dialogues change every encoder but that part's."""
    clean = finetune(epochs=1, cross_fit=3)
    parts = read_record(paths.text_encoder(CORPUS)).finetuned.parts
    train = {
        e.dialogue for e in read_protocol(paths.protocol(CORPUS)).entries if e.split == "train"
    }
    assert sorted(name for part in parts for name in part) == sorted(train)
    assert sorted(map(len, parts)) == [3, 3, 4]
    relabel(lambda e: replace(e, label=((e.label or 0) + 1) % 7) if e.dialogue in parts[1] else e)
    rewrite(lambda u: replace(u, text="more word3") if u.dialogue in parts[1] else u)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "other"))
    poisoned = finetune(epochs=1, cross_fit=3)
    same = {
        n
        for n in range(3)
        if clean[f"{FOLDER}/part{n}/model.safetensors"]
        == poisoned[f"{FOLDER}/part{n}/model.safetensors"]
    }
    assert same == {1} and clean[WEIGHTS] != poisoned[WEIGHTS]


def test_the_gap_between_seen_and_unseen_is_reported() -> None:
    finetune(epochs=3, cross_fit=2)
    gap = figures()["train_weighted_f1"]
    assert set(gap) == {"seen", "unseen", "unseen_by_the_whole_head"}
    assert gap["seen"] >= gap["unseen"]
    encoder = load(paths.text_encoder(CORPUS))
    assert [encoder.part(n).folder.name for n in (0, 1)] == ["part0", "part1"]
    digests = {encoder.whole.digest, encoder.part(0).digest, encoder.part(1).digest}
    assert len(digests) == 3
    assert set(encoder.whole.files) == set(encoder.part(0).files)
