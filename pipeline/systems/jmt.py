"""JMT: the modalities and their joint representation attend to each other, all ordered pairs."""

from itertools import permutations
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import DialogueBatch, unpack
from pipeline.nn.inputs import Inputs
from pipeline.nn.transformer_layers import PostNormLayer
from pipeline.systems.base import Output, Settings, Shape, Source, System

HIDDEN = 128
"""Features between the last two maps."""


class JmtSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (512).")
    heads: int = Field(ge=1, le=64)
    layers: int = Field(ge=1, le=24, description="Of the transformer of each stream.")
    feedforward: int = Field(ge=1, le=16384, description="Between the two maps of a layer.")
    readout: Literal["fc", "tokens"] = Field(
        description="Of a turn's cross-attentions: a linear map of all, or a transformer over them."
    )
    dropout: float = Field(
        ge=0, lt=1, description="Of attention weights, within and behind the parts of a layer."
    )

    @model_validator(mode="after")
    def _agree(self) -> "JmtSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class TokenReadout(nn.Module):
    """The mean of a turn's cross-attentions, after a transformer layer and an attention."""

    def __init__(self, settings: JmtSettings) -> None:
        super().__init__()
        width, heads, dropout = settings.width, settings.heads, settings.dropout
        self.layer = nn.TransformerEncoderLayer(
            width, heads, settings.feedforward, dropout, batch_first=True
        )
        self.attention = MultiHeadAttention(width, heads, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [row, token, width] to [row, width]."""
        every = torch.ones_like(tokens[..., 0], dtype=torch.bool)
        updated = self.layer(tokens)
        attended: Tensor = self.attention(updated, updated, every)
        return attended.mean(dim=1)


class Encoder(nn.Module):
    """The transformer of a stream."""

    def __init__(self, settings: JmtSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            PostNormLayer(settings.width, settings.heads, settings.feedforward, settings.dropout)
            for _ in range(settings.layers)
        )

    def forward(self, turns: Tensor, usable: Tensor) -> Tensor:
        """Encode [batch, turn, width]; keys are the turns where `usable`, [batch, turn]."""
        for layer in self.layers:
            turns = layer(turns, turns, usable)
        return turns


class Jmt(System):
    """A stream per modality, and one of all of them, over the turns of a dialogue.

    With n the vectors scaled to length 1: `J = W [n of all modalities]`; `e_s` a transformer over
    each stream s; `c_qk = MHA_q(e_q from e_k)` of every ordered pair of streams, whose weights are
    those of q; `logits = MLP(W_f [c of all pairs])`, or of the mean of the pairs as tokens. Keys
    are the turns that have the modality, of J those that have any. With a single modality J is a
    map of it.
    """

    Settings = JmtSettings
    SOURCE = Source(
        fidelity="code",
        citation="Waligora et al., Joint Multimodal Transformer for Emotion Recognition in the "
        "Wild, CVPR Workshops 2024",
        commit="PoloWlg/Joint-Multimodal-Transformer-6th-ABAW@"
        "691e27854a2ed73c7732eb020d1c5eef02ee45a5",
        adapted="classes by cross-entropy, where the code has valence and arousal by concordance; "
        "text as a third modality, so four streams and twelve pairs, where it has three and six; "
        "turns for frames; the common inputs before vectors are scaled to length 1; padding and "
        "missing turns masked; all pairs mapped to the features of one, where it maps them to "
        "those of two; one classifier, where it has one each of valence and arousal; the mean of "
        "the tokens, where it reads the last; AdamW, where it has SGD; dialogues for sequences of "
        "a batch; clipped gradients",
    )

    def __init__(self, settings: JmtSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities = settings.width, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.joint = nn.Linear(len(modalities) * width, width)
        streams = (*modalities, "joint")
        self.encoders = nn.ModuleDict({s: Encoder(settings) for s in streams})
        self.crosses = nn.ModuleDict(
            {s: MultiHeadAttention(width, settings.heads, settings.dropout) for s in streams}
        )
        self.pairs = tuple(permutations(streams, 2))
        self.readout = (
            nn.Linear(len(self.pairs) * width, width)
            if settings.readout == "fc"
            else TokenReadout(settings)
        )
        self.head = nn.Sequential(
            nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, shape.classes)
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        unit = functional.normalize(self.inputs(batch), dim=-1)
        available = batch.all_available(self.inputs.modalities)
        turns = (*unit, self.joint(unit.movedim(0, 2).flatten(2)))
        usable = dict(zip(self.encoders, (*available, available.any(dim=0)), strict=True))
        encoded = {
            name: self.encoders[name](vectors, usable[name])
            for name, vectors in zip(usable, turns, strict=True)
        }
        crossed = [
            self.crosses[query](encoded[query], encoded[key], usable[key])
            for query, key in self.pairs
        ]
        return Output(self.head(self._read(torch.stack(crossed, dim=2), batch.turn_mask)))

    def _read(self, tokens: Tensor, turn_mask: Tensor) -> Tensor:
        """Map [batch, turn, pair, width] to [batch, turn, width]."""
        if isinstance(self.readout, TokenReadout):
            return unpack(self.readout(tokens[turn_mask]), turn_mask)
        read: Tensor = self.readout(tokens.flatten(2))
        return read
