"""MulT: every modality is translated into every other one by cross-modal transformers."""

from itertools import permutations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.inputs import Inputs
from pipeline.nn.positions import sinusoids
from pipeline.nn.transformer_layers import PreNormLayer
from pipeline.systems.base import Output, Settings, Shape, Source, System

MEMORY = 3
"""Least layers of the transformers that follow the cross-modal ones."""


class MultSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (30).")
    layers: int = Field(ge=1, le=24, description="Of each stack; at least 3 of the self-attention.")
    heads: int = Field(ge=1, le=64)
    causal: bool = Field(description="A turn reads itself and earlier turns alone.")
    dropout: float = Field(ge=0, lt=1, description="Wherever the code has one.")

    @model_validator(mode="after")
    def _agree(self) -> "MultSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Stack(nn.Module):
    """Pre-norm layers over turns with positions, and a last normalisation."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            PreNormLayer(width, heads, 4 * width, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, turns: Tensor, source: Tensor | None, usable: Tensor) -> Tensor:
        """Update turns from a source, whose lowest features are read by every layer.

        Args:
            turns: [batch, turn, width].
            source: [batch, turn, width]; None: the turns themselves, as they change.
            usable: True where a turn may attend to another, [batch, turn, turn].

        Returns:
            [batch, turn, width].
        """
        turns = self._placed(turns)
        keys = None if source is None else self._placed(source)
        for layer in self.layers:
            turns = layer(turns, turns if keys is None else keys, usable)
        updated: Tensor = self.norm(turns)
        return updated

    def _placed(self, turns: Tensor) -> Tensor:
        count, width = turns.shape[1:]
        places = sinusoids(count, width, turns.device).to(turns)
        placed: Tensor = self.dropout(width**0.5 * turns + places)
        return placed


class Mult(System):
    """Turns are the time axis; each turn's own vector is read.

    With x of each modality scaled by sqrt(width), and positions added: `z_mn = Stack(x_m from x_n)`
    of every pair, whose keys are the turns that have n; `z_m = Stack([z_mn of all n])` with itself;
    `h = [z_m of all m]`; `logits = W (h + W_2 dropout(ReLU(W_1 h)))`. A single modality has no
    pairs: what is left is the transformer over its own vectors.
    """

    Settings = MultSettings
    SOURCE = Source(
        fidelity="code",
        citation="Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, "
        "ACL 2019",
        commit="yaohungt/Multimodal-Transformer@a670936824ee722c8494fd98d204977a1d663c7a",
        adapted="over the turns of a dialogue, where the code has the tokens of an utterance; the "
        "vector of each turn, where it reads the last token's; both directions by default, where "
        "it hides the future; padding and missing turns masked; the common inputs for its maps "
        "without bias; the positions of Vaswani et al.; one dropout, where it has seven of 0 to "
        "0.25; PyTorch's initialisation, where it has Xavier's; the epoch chosen by weighted F1, "
        "where it has the loss",
    )

    def __init__(self, settings: MultSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, dropout, modalities = settings.width, settings.dropout, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.crossmodal = nn.ModuleDict(
            {
                f"{target}_{source}": Stack(width, settings.heads, settings.layers, dropout)
                for target, source in permutations(modalities, 2)
            }
        )
        each = max(1, len(modalities) - 1) * width
        self.memory = nn.ModuleDict(
            {
                m: Stack(each, settings.heads, max(settings.layers, MEMORY), dropout)
                for m in modalities
            }
        )
        joined = len(modalities) * each
        self.residual = nn.Sequential(
            nn.Linear(joined, joined), nn.ReLU(), nn.Dropout(dropout), nn.Linear(joined, joined)
        )
        self.scores = nn.Linear(joined, shape.classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        modalities = self.inputs.modalities
        utterances = dict(zip(modalities, self.inputs(batch).unbind(), strict=True))
        reach = self._reach(batch.turn_mask)
        usable = {m: batch.available(m).unsqueeze(1) & reach for m in modalities}
        whole = batch.turn_mask.unsqueeze(1) & reach
        results = []
        for target in modalities:
            translated = [
                self.crossmodal[f"{target}_{m}"](utterances[target], utterances[m], usable[m])
                for m in modalities
                if m != target
            ]
            own = torch.cat(translated or [utterances[target]], dim=-1)
            results.append(self.memory[target](own, None, whole if translated else usable[target]))
        joined = torch.cat(results, dim=-1)
        return Output(self.scores(joined + self.residual(joined)))

    def _reach(self, turn_mask: Tensor) -> Tensor:
        """True where a turn may attend to another at all, [turn, turn]."""
        turns = turn_mask.shape[1]
        reach = torch.ones(turns, turns, dtype=torch.bool, device=turn_mask.device)
        return reach.tril() if self.settings.causal else reach
