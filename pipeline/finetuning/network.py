"""A text encoder with a classification head, with or without LoRA."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.base.errors import PipelineError
from pipeline.features.text.encoder import TextNetwork, TurnBatch
from pipeline.features.text.tokens import TurnTokenizer
from pipeline.features.text.turns import Turn
from pipeline.finetuning.examples import PaddedTurns
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.finetuning.task import Task
from pipeline.nn.contrastive import ProjectionHead


@dataclass(frozen=True)
class Output:
    """The heads' outputs for a batch.

    Attributes:
        logits: [row, class].
        sentiment: [row, sentiment]; None without this head.
        projected: [row, projection] of length 1, for the contrastive loss; None without it.
    """

    logits: Tensor
    sentiment: Tensor | None
    projected: Tensor | None


class Classifier(nn.Module):
    """The text network and its heads.

    The head for the classes is one linear map of the very vector that becomes the feature, and is
    drawn first: encoders that learn from other parts of the data with the same seed start with the
    same head, which pulls a class into the same direction in all of them.

    Args:
        text: The network.
        classes: How many classes there are.
        sentiments: How many sentiments; 0: no such head.
        settings: Dropout, and which heads there are.
    """

    def __init__(
        self, text: TextNetwork, classes: int, sentiments: int, settings: FinetuneSettings
    ) -> None:
        super().__init__()
        self.text = text
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(text.dimension, classes)
        self.sentiment = nn.Linear(text.dimension, sentiments) if sentiments else None
        self.projection = (
            ProjectionHead(text.dimension, settings.projection) if settings.contrastive else None
        )

    def forward(self, batch: TurnBatch) -> Output:
        """Apply network and heads to a batch."""
        vectors = self.dropout(self.text(batch))
        return Output(
            logits=self.head(vectors),
            sentiment=None if self.sentiment is None else self.sentiment(vectors),
            projected=None if self.projection is None else self.projection(vectors),
        )


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


class TunedEncoder:
    """Encoder and heads on a device.

    Attributes:
        model: Encoder and heads.
        learning: The trainable parameters, by name.
        low_precision: Autocast dtype of forward passes; None for float32.

    Raises:
        PipelineError: LoRA or gradient checkpointing was requested but is unavailable.
    """

    def __init__(self, task: Task) -> None:
        settings, device = task.settings, task.compute.device
        text = TextNetwork(task.folder, task.text.pooling)
        torch.manual_seed(settings.seed)
        self.model = Classifier(text, task.classes, len(task.sentiments), settings)
        if settings.lora_rank:
            text.network = add_lora(text.network, settings)
        else:
            text.network.requires_grad_(True)
        if settings.gradient_checkpointing:
            _enable_checkpointing(text.network)
        self.model.to(device)
        self.learning = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self._tokenizer = TurnTokenizer(task.folder, min(task.text.max_tokens, text.longest))
        self._device = device
        precision = task.compute.precision if device == "cuda" else "float32"
        self.low_precision = None if precision == "float32" else getattr(torch, precision)

    def read(self, turns: Sequence[Turn]) -> PaddedTurns:
        """Tokenise turns and move them to the device."""
        tokens = self._tokenizer.tokens(turns)
        return PaddedTurns(self.model.text, tokens, self._tokenizer.padding, self._device)

    def autocast(self) -> AbstractContextManager[object]:
        """Autocast context for forward passes; a no-op in float32."""
        if self.low_precision is None:
            return nullcontext()
        return torch.autocast(self._device, self.low_precision)

    @torch.inference_mode()
    def vectors(self, turns: PaddedTurns) -> Tensor:
        """Compute the feature vectors, [turn, feature] float32 on the CPU."""
        self.model.eval()
        vectors = torch.zeros(len(turns.lengths), self.model.text.dimension)
        for places in turns.by_length():
            with self.autocast():
                batch = self.model.text(turns.batch(places))
            vectors[places] = batch.float().cpu()
        return vectors

    @torch.inference_mode()
    def probabilities(self, vectors: Tensor) -> Tensor:
        """Apply the head to [turn, feature] of any encoder: [turn, class] float32 on the CPU."""
        head = self.model.head
        logits = torch.nn.functional.linear(vectors, head.weight.cpu(), head.bias.cpu())
        return logits.softmax(-1)

    def weights(self) -> dict[str, Tensor]:
        """Copy the trainable parameters to the CPU."""
        return {name: p.detach().cpu().clone() for name, p in self.learning.items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights that `weights` returned and merge LoRA's updates, which ends training."""
        with torch.no_grad():
            for name, parameter in self.learning.items():
                parameter.copy_(weights[name])
        if hasattr(self.model.text.network, "merge_and_unload"):
            self.model.text.network = self.model.text.network.merge_and_unload()


def _enable_checkpointing(network: Any) -> None:
    if not network.supports_gradient_checkpointing:
        raise PipelineError(
            f"CORPUS.finetune.gradient_checkpointing: {network.config.model_type} networks do not "
            "support it; set it to false, and raise CORPUS.finetune.accumulation to save memory."
        )
    network.gradient_checkpointing_enable({"use_reentrant": False})
