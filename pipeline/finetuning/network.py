"""A text encoder with a classification head, with or without LoRA, and the rates it learns at."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.base.errors import PipelineError
from pipeline.features.text.encoder import TextNetwork, TurnBatch
from pipeline.features.text.tokens import TurnTokenizer
from pipeline.features.text.turns import Turn
from pipeline.finetuning.examples import PaddedTurns, Task
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.nn.optimise import Player, autocast, lower_precision

# `encoder.layer.3.` of BERT-like networks, `transformer.layer.3.`, `layers.3.`, `h.3.`.
LAYER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")


class Classifier(nn.Module):
    """The text network and a head: one linear map of the very vector that becomes the feature."""

    def __init__(self, text: TextNetwork, classes: int, dropout: float) -> None:
        super().__init__()
        self.text = text
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(text.dimension, classes)

    def forward(self, batch: TurnBatch) -> Tensor:
        """Logits, [row, class]."""
        logits: Tensor = self.head(self.dropout(self.text(batch)))
        return logits


class TunedEncoder:
    """Encoder and head on a device.

    Attributes:
        model: Encoder and head.
        learning: The trainable parameters, by name.
        precision: Autocast dtype of predictions; None for float32.

    Raises:
        PipelineError: LoRA or gradient checkpointing was requested but is unavailable.
    """

    def __init__(self, task: Task) -> None:
        settings, device = task.settings, task.compute.device
        text = TextNetwork(task.folder, task.text.pooling)
        torch.manual_seed(settings.seed)
        self.model = Classifier(text, len(task.examples.classes), settings.dropout)
        if settings.lora_rank:
            text.network = add_lora(text.network, settings)
        else:
            text.network.requires_grad_(True)
        if settings.gradient_checkpointing:
            enable_checkpointing(text.network)
        self.model.to(device)
        self.learning = dict(_trainable(self.model))
        self._tokenizer = TurnTokenizer(task.folder, min(task.text.max_tokens, text.longest))
        self.device = torch.device(device)
        self.precision = lower_precision(device, task.compute.precision)

    def read(self, turns: Sequence[Turn]) -> PaddedTurns:
        """Tokenise turns and move them to the device."""
        tokens = self._tokenizer.tokens(turns)
        return PaddedTurns(self.model.text, tokens, self._tokenizer.padding, self.device)

    @torch.inference_mode()
    def vectors(self, turns: PaddedTurns) -> Tensor:
        """Compute the feature vectors, [turn, feature] float32 on the CPU."""
        self.model.eval()
        vectors = torch.zeros(len(turns.lengths), self.model.text.dimension)
        for places in turns.by_length():
            with autocast(self.device, self.precision):
                batch = self.model.text(turns.batch(places))
            vectors[places] = batch.float().cpu()
        return vectors

    @torch.inference_mode()
    def probabilities(self, turns: PaddedTurns) -> Tensor:
        """Predict [turn, class] float32 on the CPU, as the head file does from stored vectors."""
        head = self.model.head
        logits = nn.functional.linear(self.vectors(turns), head.weight.cpu(), head.bias.cpu())
        return logits.softmax(-1)

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `learning` was and merge LoRA's updates, which ends training."""
        with torch.no_grad():
            for name, parameter in self.learning.items():
                parameter.copy_(weights[name])
        if hasattr(self.model.text.network, "merge_and_unload"):
            self.model.text.network = self.model.text.network.merge_and_unload()


def add_lora(network: Any, settings: FinetuneSettings) -> Any:
    """Add LoRA updates to all linear layers, and freeze everything else.

    Raises:
        PipelineError: The package peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise PipelineError(
            "CORPUS.finetune.lora_rank needs the package peft, which is not installed: "
            "`pip install 'peft>=0.17'`, or set it to 0."
        ) from error
    config = LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules="all-linear"
    )
    return get_peft_model(network, config)


def enable_checkpointing(network: Any) -> None:
    """Have a network recompute its layers in the backward pass.

    Raises:
        PipelineError: It cannot.
    """
    if not network.supports_gradient_checkpointing:
        raise PipelineError(
            f"CORPUS.finetune.gradient_checkpointing: {network.config.model_type} networks do not "
            "support it; set it to false, and raise CORPUS.finetune.accumulation to save memory."
        )
    network.gradient_checkpointing_enable({"use_reentrant": False})


def parameter_groups(model: Classifier, settings: FinetuneSettings) -> list[Player]:
    """Group parameters by their share of the learning rate and their weight decay.

    Embeddings count as the layer below the first. Vectors (biases, norms) get no weight decay.
    """
    depths = {name: _depth(name) for name, _ in _trainable(model) if name.startswith("text.")}
    layers = max((d for d in depths.values() if d is not None), default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in _trainable(model):
        if name in depths:
            depth = depths[name]
            share = settings.layer_decay ** (0 if depth is None else layers - depth)
        else:
            share = settings.head_learning_rate / settings.learning_rate
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((share, decay), []).append(parameter)
    return [
        Player(parameters, learning_rate=share, weight_decay=decay)
        for (share, decay), parameters in groups.items()
    ]


def _trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)


def _depth(name: str) -> int | None:
    """0 for embeddings, from 1 for layers, None for parameters above all layers."""
    if match := LAYER.search(name):
        return int(match[1]) + 1
    return 0 if "embeddings" in name else None
