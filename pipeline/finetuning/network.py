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
    """What the heads say of a batch.

    Attributes:
        logits: [row, class].
        sentiment: [row, sentiment]; None without this head.
        projected: [row, projection] of length 1, for the contrastive loss; None without it.
    """

    logits: Tensor
    sentiment: Tensor | None
    projected: Tensor | None


class Classifier(nn.Module):
    """The network and its heads.

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
        """The heads' outputs of a batch."""
        vectors = self.dropout(self.text(batch))
        return Output(
            logits=self.head(vectors),
            sentiment=None if self.sentiment is None else self.sentiment(vectors),
            projected=None if self.projection is None else self.projection(vectors),
        )


def with_updates(network: Any, settings: FinetuneSettings) -> Any:
    """A network whose linear layers have an update each, which alone learns.

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


def merged(network: Any) -> Any:
    """The plain network, its weights with their updates."""
    return network.merge_and_unload()


class TunedEncoder:
    """Encoder and heads on a device.

    Args:
        task: Which encoder, how turns are read, and which heads there are.

    Attributes:
        model: Encoder and heads.
        learning: The parameters that learn, by name.
        low_precision: The arithmetic of most of a forward pass; None: float32.

    Raises:
        PipelineError: LoRA or gradient checkpointing is asked for, which is not to be had.
    """

    def __init__(self, task: Task) -> None:
        settings, device = task.settings, task.compute.device
        text = TextNetwork(task.folder, task.text.pooling)
        torch.manual_seed(settings.seed)
        self.model = Classifier(text, task.classes, len(task.sentiments), settings)
        if settings.lora_rank:
            text.network = with_updates(text.network, settings)
        else:
            text.network.requires_grad_(True)
        if settings.gradient_checkpointing:
            _save_memory(text.network)
        self.model.to(device)
        self.learning = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self._tokenizer = TurnTokenizer(task.folder, min(task.text.max_tokens, text.longest))
        self._device = device
        precision = task.compute.precision if device == "cuda" else "float32"
        self.low_precision = None if precision == "float32" else getattr(torch, precision)

    def read(self, turns: Sequence[Turn]) -> PaddedTurns:
        """Turns as tokens on the device."""
        tokens = self._tokenizer.tokens(turns)
        return PaddedTurns(self.model.text, tokens, self._tokenizer.padding, self._device)

    def autocast(self) -> AbstractContextManager[object]:
        """In which forward passes run."""
        if self.low_precision is None:
            return nullcontext()
        return torch.autocast(self._device, self.low_precision)

    @torch.inference_mode()
    def vectors(self, turns: PaddedTurns) -> Tensor:
        """[turn, feature] float32, which become features, on the CPU."""
        self.model.eval()
        found = torch.zeros(len(turns.lengths), self.model.text.dimension)
        for places in turns.by_length():
            with self.autocast():
                vectors = self.model.text(turns.batch(places))
            found[places] = vectors.float().cpu()
        return found

    @torch.inference_mode()
    def probabilities(self, vectors: Tensor) -> Tensor:
        """[turn, class] float32 of the head, on the CPU.

        Args:
            vectors: [turn, feature], of this encoder or of another.
        """
        head = self.model.head
        logits = torch.nn.functional.linear(vectors, head.weight.cpu(), head.bias.cpu())
        return logits.softmax(-1)

    def weights(self) -> dict[str, Tensor]:
        """What learns, as it is, copied to the CPU."""
        return {name: p.detach().cpu().clone() for name, p in self.learning.items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Takes weights that `weights` gave; updates of LoRA become part of the network's own.

        It cannot go on learning then.
        """
        with torch.no_grad():
            for name, parameter in self.learning.items():
                parameter.copy_(weights[name])
        if hasattr(self.model.text.network, "merge_and_unload"):
            self.model.text.network = merged(self.model.text.network)


def _save_memory(network: Any) -> None:
    """Lets layers be computed again on the way back instead of keeping what they made."""
    if not network.supports_gradient_checkpointing:
        raise PipelineError(
            f"CORPUS.finetune.gradient_checkpointing: {network.config.model_type} networks cannot "
            "do this; set it to false, and raise CORPUS.finetune.accumulation to save memory."
        )
    network.gradient_checkpointing_enable({"use_reentrant": False})
