"""A BERT of two layers and width 32 with random weights, and a corpus whose labels are words."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.base.settings import ComputeSettings
from pipeline.base.state import StateFile
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import window_of
from pipeline.finetuning.examples import Task, read_examples
from pipeline.finetuning.finetune import finetune_corpus
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.training.fit import Run, RunState
from pipeline.weights.folder import record_of, write_record
from pipeline.weights.lock import Provenance
from tests.conftest import PARAMS
from tests.synthetic import Size, lay_out

CORPUS = "toy"
WORDS = ["and", "more", "s0", "s1", "s2", ":", *(f"word{n}" for n in range(7))]
SIZE = Size(train=10, valid=4, test=3, turns=5)


def pretrained(folder: Path) -> None:
    """Write the encoder folder of the tiny network."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizerFast(vocab={word: n for n, word in enumerate(vocabulary)}).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    provenance = Provenance(
        name="tiny",
        role="text",
        architecture="BertModel",
        revision="none",
        licence="none",
        description="Random.",
    )
    write_record(folder, record_of(folder, provenance))


def lay_out_toy() -> None:
    """Write manifest, protocol and encoder below the working folder."""
    lay_out(CORPUS, SIZE)
    pretrained(paths.pretrained(CORPUS, "text"))


def text_settings(**changes: Any) -> TextSettings:
    reading = {"pooling": "mean", "context_turns": 1, "max_tokens": 32}
    known = read_params(PARAMS).of(TextSettings, "demo_meld")
    return known.model_copy(update=reading | changes)


def settings(**changes: Any) -> FinetuneSettings:
    """Four epochs of steps of eight, at a rate that a tiny network needs."""
    fast = {
        "enabled": True,
        "epochs": 4,
        "patience": 4,
        "batch_size": 8,
        "learning_rate": 0.003,
        "head_learning_rate": 0.01,
    }
    known = read_params(PARAMS).of(FinetuneSettings, "demo_meld")
    return FinetuneSettings.model_validate({**known.model_dump(), **fast, **changes})


def compute() -> ComputeSettings:
    known = read_params(PARAMS).of(ComputeSettings)
    return known.model_copy(update={"device": "cpu", "threads": 1})


def task(text: TextSettings | None = None, **changes: Any) -> Task:
    """The toy corpus' task."""
    text = text or text_settings()
    examples = read_examples(CORPUS, window_of(text))
    folder = paths.pretrained(CORPUS, "text")
    return Task(folder, examples, text, settings(**changes), compute())


def states(run: Run) -> Iterator[RunState]:
    """Train in a new file: the run after each step."""
    return run.go(StateFile(Path(mkdtemp(dir=".")) / "run.pt", RunState))


def finetune(text: TextSettings | None = None, **changes: Any) -> dict[str, bytes]:
    """Fine-tune the toy corpus; return the bytes of every output."""
    finetune_corpus(CORPUS, text or text_settings(), settings(**changes), compute())
    return outputs()


def outputs() -> dict[str, bytes]:
    folder = paths.text_encoder(CORPUS)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files += [paths.head(CORPUS), paths.metrics(CORPUS, "finetune.json")]
    return {file.as_posix(): file.read_bytes() for file in files}
