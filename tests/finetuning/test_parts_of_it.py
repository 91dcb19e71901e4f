"""Parts of fine-tuning against numbers by hand: rates, batches, accumulation, LoRA."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.features.text.turns import Turn, window_of
from pipeline.finetuning.examples import Example, batches, draw, examples
from pipeline.finetuning.learner import TextLearner
from pipeline.finetuning.network import TunedEncoder, parameter_groups
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import Protocol, read_protocol
from pipeline.training.fit import Run
from tests.finetuning import tiny
from tests.finetuning.tiny import CORPUS, lay_out_toy


@pytest.fixture
def toy(workspace: Path) -> None:
    lay_out_toy()


def test_the_rate_rises_and_falls_to_nothing(toy: None) -> None:
    learner = TextLearner(tiny.task(epochs=2, batch_size=10, warmup=0.2))
    factors = [learner.rate(step, []) for step in range(10)]
    shares = [numerator / denominator for numerator, denominator in factors]
    assert shares == [0.5, 1.0, *(pytest.approx((10 - step) / 8) for step in range(2, 10))]
    at_once = TextLearner(tiny.task(warmup=0.0))
    assert at_once.rate(0, []) == (1.0, 1.0)


def test_each_layer_learns_slower_than_the_one_above(toy: None) -> None:
    encoder = TunedEncoder(tiny.task(learning_rate=0.8, layer_decay=0.5))
    names = {id(p): name for name, p in encoder.learning.items()}
    rates = {}
    for group in parameter_groups(encoder.model, tiny.settings(learning_rate=0.8, layer_decay=0.5)):
        for parameter in group.parameters:
            rates[names[id(parameter)]] = (0.8 * group.learning_rate, group.weight_decay)
    assert set(rates) == set(encoder.learning), "nothing is left out"
    query = "text.network.encoder.layer.{}.attention.self.query.{}"
    assert rates[query.format(1, "weight")] == (0.8, 0.01)
    assert rates[query.format(0, "weight")] == (0.4, 0.01)
    assert rates[query.format(0, "bias")] == (0.4, 0.0)
    assert rates["text.network.embeddings.word_embeddings.weight"] == (0.2, 0.01)
    assert rates["text.network.embeddings.LayerNorm.weight"] == (0.2, 0.0)
    assert rates["head.weight"] == (0.01, 0.01)


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


def test_the_loss_by_hand(toy: None) -> None:
    """The weighted mean over a batch, whose parts add up to it."""
    learner = TextLearner(tiny.task(class_weights="inverse", accumulation=3))
    learner.model.eval()  # without dropout
    train, places = tiny.task().examples.train, [3, 1, 4, 15, 9, 26, 5]
    counts = Counter(e.label for e in train)
    labels = [train[place].label for place in places]
    weights = torch.tensor([1 / counts[label] for label in labels])
    turns = learner.encoder.read([train[place].turn for place in places])
    each = -learner.encoder.probabilities(turns).log()[range(7), labels]
    parts = list(learner.parts(places))
    loss = sum(learner.losses(part)["cross_entropy"].item() for part in parts)
    assert [len(part) for part, _ in parts] == [3, 3, 1]
    assert loss == pytest.approx(((each * weights).sum() / weights.sum()).item())


@pytest.mark.parametrize(
    "options",
    [
        {"class_weights": "inverse"},
        {"label_smoothing": 0.2, "class_weights": "effective_number"},
    ],
)
def test_a_batch_in_parts_learns_the_same(toy: None, options: dict[str, object]) -> None:
    """Without dropout, which is drawn for each part."""

    def after_a_step(accumulation: int) -> dict[str, torch.Tensor]:
        still = {"dropout": 0.0, "batch_size": 7, "accumulation": accumulation}
        learner = TextLearner(tiny.task(**still, **options))
        for module in learner.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        next(tiny.states(Run(learner)))
        return learner.weights()

    whole, parts = after_a_step(1), after_a_step(3)
    for name, before in whole.items():
        assert torch.allclose(before, parts[name], atol=2e-5), name


def test_checkpointing_learns_the_same(toy: None) -> None:
    def after_a_step(checkpointing: bool) -> dict[str, torch.Tensor]:
        learner = TextLearner(tiny.task(gradient_checkpointing=checkpointing))
        assert learner.model.text.network.is_gradient_checkpointing == checkpointing
        next(tiny.states(Run(learner)))
        return learner.weights()

    plain, again = after_a_step(False), after_a_step(True)
    assert all(torch.allclose(plain[name], again[name], atol=1e-6) for name in plain)


def test_merged_lora_equals_separate_lora(toy: None) -> None:
    pytest.importorskip("peft")
    task = tiny.task(epochs=2, lora_rank=4, learning_rate=0.02)
    learner = TextLearner(task)
    encoder = learner.encoder
    every = dict(learner.model.named_parameters())
    before = {name: p.clone() for name, p in every.items() if name not in encoder.learning}
    *_, last = tiny.states(Run(learner))
    after = dict(learner.model.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before), "what stays has stayed"
    assert all("lora_" in n or n.startswith("head") for n in encoder.learning)
    turns = [e.turn for e in task.examples.valid]
    encoder.restore(last.best)
    network = learner.model.text.network
    assert not any("lora" in name for name in network.state_dict())
    merged = encoder.vectors(encoder.read(turns))
    separate = TunedEncoder(task)
    with torch.no_grad():
        for name, parameter in separate.learning.items():
            parameter.copy_(last.best[name])
    unmerged = separate.vectors(separate.read(turns))
    pretrained = TunedEncoder(task)
    untouched = pretrained.vectors(pretrained.read(turns))
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
        Turn(rows[1].text, (rows[0].text,)), protocol.entries[1].label
    )


def test_several_folds_are_refused(toy: None) -> None:
    protocol = read_protocol(paths.protocol(CORPUS))
    two = [*protocol.entries, *(replace(e, fold=1) for e in protocol.entries)]
    with pytest.raises(PipelineError, match=r"the protocol has 2 folds.*expected one"):
        examples([], Protocol(protocol.classes, two), window_of(tiny.text_settings()))
