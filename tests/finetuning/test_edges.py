"""Fine-tuning at its edges: what is cached, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from transformers import MPNetConfig, MPNetModel

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.finetuning.finetune import finetune_corpus
from pipeline.finetuning.learner import TextLearner
from pipeline.finetuning.network import Classifier, TunedEncoder, enable_checkpointing
from pipeline.records.manifest import Origin, Utterance, read_manifest, write_manifest
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
from pipeline.training.fit import Run
from tests.finetuning import tiny
from tests.finetuning.tiny import CORPUS, finetune, lay_out_toy, text_settings


@pytest.fixture(autouse=True)
def toy(workspace: Path) -> None:
    lay_out_toy()


def entries(change: Callable[[list[Entry]], list[Entry]]) -> None:
    protocol = read_protocol(paths.protocol(CORPUS))
    write_protocol(paths.protocol(CORPUS), Protocol(protocol.classes, change(protocol.entries)))


def without_words(where: Callable[[Utterance], bool]) -> None:
    rows = [replace(u, text="") if where(u) else u for u in read_manifest(paths.manifest(CORPUS))]
    write_manifest(paths.manifest(CORPUS), rows, Origin("meld", full=False))


def test_settings_that_change_no_number_cost_no_second_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = finetune(epochs=1)
    monkeypatch.setattr(TextLearner, "__init__", lambda *_: pytest.fail("it trains again"))
    assert finetune(text_settings(tokens_per_batch=99, encoder="another-name"), epochs=1).keys()
    on_a_gpu_alone = tiny.compute().model_copy(update={"precision": "bfloat16"})
    finetune_corpus(CORPUS, text_settings(), tiny.settings(epochs=1), on_a_gpu_alone)
    assert tiny.outputs() == first


@pytest.mark.parametrize(
    "change", [{"max_tokens": 9}, {"pooling": "cls"}, {"context_turns": 0}], ids=str
)
def test_settings_that_change_a_number_do(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    finetune(epochs=1)
    with monkeypatch.context() as watched, pytest.raises(KeyboardInterrupt):
        watched.setattr(TextLearner, "__init__", mock.Mock(side_effect=KeyboardInterrupt))
        finetune(text_settings(**change), epochs=1)


def test_a_nan_loss_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Classifier.forward

    def diverging(*given: Any) -> torch.Tensor:
        return forward(*given) * torch.nan

    with monkeypatch.context() as broken:
        broken.setattr(Classifier, "forward", diverging)
        with pytest.raises(PipelineError, match=r"Epoch 1 .* nan.*CORPUS\.finetune\.learning_rate"):
            finetune(epochs=2)
    assert not paths.text_encoder(CORPUS).exists()
    finetune(epochs=2)


def test_weights_that_are_no_numbers_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean loss of their epoch may still be one."""
    monkeypatch.setattr(
        TunedEncoder, "probabilities", lambda _, turns: torch.full((len(turns.lengths), 7), nan)
    )
    with pytest.raises(PipelineError, match=r"Epoch 1 .* nan.*CORPUS\.finetune\.learning_rate"):
        finetune(epochs=2)


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_split_without_words_is_refused(split: str) -> None:
    without_words(lambda u: u.utterance.startswith(split))
    with pytest.raises(
        PipelineError, match=f"the {split} split has no labelled utterance with text"
    ):
        finetune(epochs=1)


def test_a_network_that_cannot_be_checkpointed_is_refused() -> None:
    shape = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    network = MPNetModel(MPNetConfig(vocab_size=9, num_hidden_layers=1, **shape))
    with pytest.raises(PipelineError, match="mpnet networks do not support it"):
        enable_checkpointing(network)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_it_learns_in_low_precision(precision: torch.dtype) -> None:
    """As on a GPU: autocast, weights in float32, and in float16 a scaled loss."""
    learner = TextLearner(tiny.task(epochs=8, patience=8, accumulation=2))
    run = Run(learner)
    run.precision = learner.encoder.precision = precision
    run.scaler = torch.GradScaler("cpu", enabled=precision == torch.float16)
    *before, last = tiny.states(run)
    assert len(before) + 1 == 8 * learner.steps_per_epoch
    assert max(last.scores) > 80
    assert {p.dtype for p in learner.encoder.learning.values()} == {torch.float32}
