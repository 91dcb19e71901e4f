"""Parts of fine-tuning against numbers by hand: rates, batches, losses, means, heads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.features.text.turns import Turn, window_of
from pipeline.finetuning.ema import RunningMean
from pipeline.finetuning.examples import Example, batches, draw, examples
from pipeline.finetuning.loop import Run
from pipeline.finetuning.network import Output, TunedEncoder
from pipeline.finetuning.objective import Objective, Targets
from pipeline.finetuning.rates import parameter_groups, rate_factor
from pipeline.nn.contrastive import supervised_contrastive_loss
from pipeline.records.features import Features
from pipeline.records.head import Head, predict_utterances, read_head, write_head
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import Protocol, read_protocol
from tests.finetuning import tiny
from tests.finetuning.tiny import CORPUS, lay_out_toy


@pytest.fixture
def toy(workspace: Path) -> None:
    lay_out_toy()


def test_the_rate_rises_and_falls_to_nothing() -> None:
    shares = [rate_factor(step, 10, 0.2) for step in range(10)]
    assert shares == [0.5, 1.0, *(pytest.approx((10 - step) / 8) for step in range(2, 10))]
    assert rate_factor(0, 4, 0.0) == 1.0


def test_each_layer_learns_slower_than_the_one_above(toy: None) -> None:
    encoder = TunedEncoder(tiny.task(learning_rate=0.8, layer_decay=0.5, contrastive=1.0))
    names = {id(p): name for name, p in encoder.learning.items()}
    rates = {}
    for group in parameter_groups(encoder.model, tiny.settings(learning_rate=0.8, layer_decay=0.5)):
        for parameter in group["params"]:
            rates[names[id(parameter)]] = (group["rate"], group["weight_decay"])
    assert set(rates) == set(encoder.learning), "nothing is left out"
    query = "text.network.encoder.layer.{}.attention.self.query.{}"
    assert rates[query.format(1, "weight")] == (0.8, 0.01)
    assert rates[query.format(0, "weight")] == (0.4, 0.01)
    assert rates[query.format(0, "bias")] == (0.4, 0.0)
    assert rates["text.network.embeddings.word_embeddings.weight"] == (0.2, 0.01)
    assert rates["text.network.embeddings.LayerNorm.weight"] == (0.2, 0.0)
    for name in ("head.weight", "projection.hidden.weight"):
        assert rates[name] == (0.01, 0.01)


def test_an_epoch_has_each_utterance_once_in_batches_of_like_length() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, lengths = torch.zeros(1000, dtype=torch.long), torch.arange(1000).tolist()
    drawn = draw(labels, "all", generator)
    whole = batches(drawn, lengths, 8, generator)
    assert sorted(place for batch in whole for place in batch) == list(range(1000))
    assert {len(batch) for batch in whole} == {8} and len(whole) == 125
    spread = np.mean([max(batch) - min(batch) for batch in whole])
    assert spread < 60, "of a random batch it would be 778"
    again = batches(draw(labels, "all", generator), lengths, 8, generator)
    assert {frozenset(batch) for batch in again}.isdisjoint({frozenset(b) for b in whole})


def test_class_balanced_draws_classes_alike() -> None:
    labels = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    drawn = draw(labels, "class_balanced", torch.Generator().manual_seed(0))
    shares = torch.bincount(labels[drawn]) / len(drawn)
    assert len(drawn) == 1000 and shares == pytest.approx([1 / 3] * 3, abs=0.05)


def test_the_loss_by_hand() -> None:
    settings = tiny.settings(sentiment=0.5, contrastive=2.0, temperature=0.5, hard_ratio=0.5)
    generator = torch.Generator().manual_seed(0)
    logits, sentiment = (torch.randn(5, n, generator=generator) for n in (3, 2))
    projected = nn.functional.normalize(torch.randn(5, 4, generator=generator), dim=-1)
    labels, sentiments = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([0, -1, 1, -1, 0])
    weights = torch.tensor([1.0, 2.0, 4.0])
    targets = Targets(labels, sentiments)
    terms = Objective(settings, weights).terms(
        Output(logits, sentiment, projected), targets, targets
    )
    each = -logits.log_softmax(1)[range(5), labels] * weights[labels]
    assert terms["cross_entropy"].item() == pytest.approx((each.sum() / 10).item())
    known = -sentiment.log_softmax(1)[[0, 2, 4], [0, 1, 0]]
    assert terms["sentiment"].item() == pytest.approx(known.mean().item())
    contrast = supervised_contrastive_loss(projected, labels, temperature=0.5, hard_ratio=0.5)
    assert terms["contrastive"].item() == pytest.approx(contrast.item())
    total = terms["cross_entropy"] + 0.5 * terms["sentiment"] + 2 * terms["contrastive"]
    assert terms["total"].item() == pytest.approx(total.item())


def test_a_batch_without_sentiments_gives_no_nan() -> None:
    targets = Targets(torch.tensor([0, 1]), torch.tensor([-1, -1]))
    output = Output(torch.zeros(2, 3), torch.zeros(2, 2), None)
    terms = Objective(tiny.settings(sentiment=1.0), None).terms(output, targets, targets)
    assert terms["sentiment"].item() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"class_weights": "inverse"},
        {"label_smoothing": 0.2, "class_weights": "effective_number"},
        {"sentiment": 1.0},
    ],
)
def test_a_batch_in_parts_learns_the_same(toy: None, options: dict[str, object]) -> None:
    """Without dropout, which is drawn for each part."""

    def after_a_step(accumulation: int) -> dict[str, torch.Tensor]:
        still = {"dropout": 0.0, "batch_size": 7, "accumulation": accumulation}
        run = Run(tiny.task(**still, **options))
        for module in run.encoder.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        next(run.steps())
        return run.encoder.weights()

    whole, parts = after_a_step(1), after_a_step(3)
    for name, before in whole.items():
        assert torch.allclose(before, parts[name], atol=2e-5), name


def test_checkpointing_learns_the_same(toy: None) -> None:
    def after_a_step(checkpointing: bool) -> dict[str, torch.Tensor]:
        run = Run(tiny.task(gradient_checkpointing=checkpointing))
        assert run.encoder.model.text.network.is_gradient_checkpointing == checkpointing
        next(run.steps())
        return run.encoder.weights()

    plain, again = after_a_step(False), after_a_step(True)
    assert all(torch.allclose(plain[name], again[name], atol=1e-6) for name in plain)


def test_a_running_mean_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    mean = RunningMean({"w": weight}, decay=0.15)
    expected = 1.0
    for n, value in enumerate([2.0, 3.0, 5.0]):
        weight.data = torch.tensor([value])
        mean.update()
        decay = min(0.15, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    with mean.in_place():
        assert weight.item() == pytest.approx(expected)
        weight_state = mean.state_dict()
    assert weight.item() == 5.0
    assert weight_state["w"].item() == 5.0, "the weights are kept in its place meanwhile"


def test_without_a_mean_the_weights_are_taken(toy: None) -> None:
    run = Run(tiny.task(epochs=1, ema=0.0))
    list(run.steps())
    assert all(torch.equal(run.state.best[n], p) for n, p in run.encoder.learning.items())
    averaged = Run(tiny.task(epochs=1, ema=0.99))
    list(averaged.steps())
    assert all(torch.equal(averaged.encoder.learning[n], p) for n, p in run.state.best.items())
    assert not all(torch.equal(averaged.state.best[n], p) for n, p in run.state.best.items())


def test_merged_lora_equals_separate_lora(toy: None) -> None:
    pytest.importorskip("peft")
    task = tiny.task(epochs=2, lora_rank=4, learning_rate=0.02)
    run = Run(task)
    every = dict(run.encoder.model.named_parameters())
    before = {name: p.clone() for name, p in every.items() if name not in run.encoder.learning}
    list(run.steps())
    after = dict(run.encoder.model.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before), "what stays has stayed"
    assert all("lora_" in n or n.startswith(("head", "sentiment")) for n in run.encoder.learning)
    turns = run.encoder.read([e.turn for e in task.valid])
    run.encoder.restore(run.state.best)
    network = run.encoder.model.text.network
    assert not any("lora" in name for name in network.state_dict())
    merged = run.encoder.vectors(turns)
    separate = Run(task)
    with torch.no_grad():
        for name, parameter in separate.encoder.learning.items():
            parameter.copy_(run.state.best[name])
    unmerged = separate.encoder.vectors(separate.encoder.read([e.turn for e in task.valid]))
    pretrained = Run(task)
    untouched = pretrained.encoder.vectors(pretrained.encoder.read([e.turn for e in task.valid]))
    assert (merged - unmerged).abs().max() < 1e-5
    assert (merged - untouched).abs().max() > 1e-2, "it did learn"


def test_lora_is_written_as_a_plain_encoder(toy: None) -> None:
    pytest.importorskip("peft")
    tiny.finetune(epochs=1, lora_rank=2)
    assert TunedEncoder(replace(tiny.task(), folder=paths.text_encoder(CORPUS))).learning


def test_examples_are_the_labelled_ones_of_train_and_validation(toy: None) -> None:
    rows, protocol = read_manifest(paths.manifest(CORPUS)), read_protocol(paths.protocol(CORPUS))
    first = protocol.entries[0]
    unlabelled = [replace(e, label=None) if e == first else e for e in protocol.entries]
    chosen = examples(rows, Protocol(protocol.classes, unlabelled), window_of(tiny.text_settings()))
    assert (len(chosen.train), len(chosen.valid)) == (10 * 5 - 1, 4 * 5)
    silent = [replace(u, text=" ") if u.dialogue == "valid/dia0" else u for u in rows]
    kept = examples(silent, protocol, window_of(tiny.text_settings()))
    assert (len(kept.train), len(kept.valid)) == (10 * 5, 3 * 5)
    assert chosen.train[0] == Example(
        "train/dia0", Turn(rows[1].text, (rows[0].text,)), protocol.entries[1].label, "neutral"
    )
    assert chosen.dialogues == tuple(f"train/dia{n}" for n in range(10))


def test_several_folds_are_refused(toy: None) -> None:
    protocol = read_protocol(paths.protocol(CORPUS))
    two = [*protocol.entries, *(replace(e, fold=1) for e in protocol.entries)]
    with pytest.raises(PipelineError, match=r"the protocol has 2 folds.*expected one"):
        examples([], Protocol(protocol.classes, two), window_of(tiny.text_settings()))


def test_a_head_predicts_from_stored_features(tmp_path: Path) -> None:
    weight, bias = np.array([[1, 0], [0, 2]], np.float32), np.array([0, 1], np.float32)
    head = Head(("a", "b"), weight, bias)
    write_head(tmp_path / "head", head)
    read = read_head(tmp_path / "head")
    values = np.array([[1, 0], [0, 1], [3, 1]], np.float32)
    present = np.array([True, False, True, True])
    offsets = np.array([0, 1, 1, 2, 3])
    store = Features(["x", "silent", "y", "z"], present, offsets, values, {"dimension": 2})
    probabilities = predict_utterances(read, store, ["z", "x", "silent"])
    scores = np.exp(np.array([[3.0, 3.0], [1.0, 1.0], [0.0, 1.0]]))
    assert read.classes == ("a", "b")
    assert probabilities == pytest.approx(scores / scores.sum(1, keepdims=True))
    write_head(tmp_path / "head", None)
    assert read_head(tmp_path / "head") is None
    (tmp_path / "head").write_bytes(b"{}")
    with pytest.raises(PipelineError, match="cannot be read as a head"):
        read_head(tmp_path / "head")


@pytest.mark.parametrize(
    ("classes", "weight", "bias"),
    [
        (("a", "b", "c"), [[1, 0], [0, 2]], [0, 1]),
        (("a", "b"), [[1, 0], [0, 2]], [0, 1, 2]),
        (("a", "b"), [[1, np.nan], [0, 2]], [0, 1]),
        (("a", "b"), [[1, 0], [0, 2]], [0, np.inf]),
        (("a", "b"), [1, 0], [0, 1]),
    ],
)
def test_a_head_that_is_none_is_refused(
    tmp_path: Path, classes: tuple[str, ...], weight: Any, bias: Any
) -> None:
    head = Head(classes, np.array(weight, np.float32), np.array(bias, np.float32))
    write_head(tmp_path / "head", head)
    with pytest.raises(PipelineError, match="expected finite weights"):
        read_head(tmp_path / "head")
