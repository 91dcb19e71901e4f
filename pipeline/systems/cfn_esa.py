"""CFN-ESA: a recurrent encoder of all modalities, text as their hub, pairs of turns as a task."""

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.nn.emotion_shift import ShiftClassifier, shift_weights, shifts
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.systems.base import Output, Settings, Shape, Source, System


class CfnEsaSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (384).")
    context_layers: int = Field(ge=1, le=24, description="Layers of the recurrent encoder (2).")
    layers: int = Field(ge=1, le=24, description="Layers of attention between modalities (3).")
    heads: int = Field(ge=1, le=64, description="Attention heads (8).")
    recurrent_dropout: float = Field(ge=0, lt=1, description="In the recurrent encoder.")
    dropout: float = Field(ge=0, lt=1, description="Between modalities, before the last layer.")
    shift: float = Field(
        ge=0, description="Lambda, weight of telling whether two turns differ in emotion; 0: off."
    )

    @model_validator(mode="after")
    def _agree(self) -> "CfnEsaSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


def feed_forward(width: int, dropout: float) -> nn.Sequential:
    """`dropout(W_2 dropout(ReLU(W_1 x)))`, twice as wide inside."""
    return nn.Sequential(
        nn.Linear(width, 2 * width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, width),
        nn.Dropout(dropout),
    )


class RecurrentLayer(nn.Module):
    """A layer of RUME: `r = LN(x + W BiGRU(x))`, `x <- LN(x + r + FFN(r))`."""

    def __init__(self, settings: CfnEsaSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.recurrent_dropout
        self.gru = PackedRNN("gru", width, width)
        self.project = nn.Sequential(nn.Linear(2 * width, width), nn.Dropout(dropout))
        self.read, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = feed_forward(width, dropout)

    def forward(self, turns: Tensor, turn_mask: Tensor) -> Tensor:
        """Map x, [batch, turn, width], to the same shape."""
        read = self.read(turns + self.project(self.gru(turns, turn_mask)))
        updated: Tensor = self.norm(turns + read + self.feed_forward(read))
        return updated


class Within(nn.Module):
    """What a layer of ACME does in each modality, around what it does between them."""

    def __init__(self, settings: CfnEsaSettings) -> None:
        super().__init__()
        width = settings.width
        self.attention = MultiHeadAttention(width, settings.heads)
        self.attended, self.crossed, self.norm = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(settings.dropout)
        self.feed_forward = feed_forward(width, settings.dropout)

    def before(self, features: Tensor, usable: Tensor) -> Tensor:
        """Compute `h = LN(f + MHA(f, f, f))`, [batch, turn, width]."""
        attended = self.dropout(self.attention(features, features, usable))
        hidden: Tensor = self.attended(features + attended)
        return hidden

    def after(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Compute `k = LN(h)`, then `LN(f + k + FFN(k))`; h has f and what was read added."""
        crossed = self.crossed(hidden)
        updated: Tensor = self.norm(features + crossed + self.feed_forward(crossed))
        return updated


class CrossModalLayer(nn.Module):
    """A layer of ACME: modalities read themselves, the hub all others, and these the hub.

    With h of `Within`: `c_hub = ReLU(W [MHA(h_hub, h_m, h_m) of each other m])`,
    `c_m = MHA(h_m, h_hub, h_hub)`; `f <- after(f, f + h + c)`. The others never meet.
    """

    def __init__(self, modalities: Sequence[str], settings: CfnEsaSettings) -> None:
        super().__init__()
        width, heads, (self.hub, *others) = settings.width, settings.heads, modalities
        self.within = nn.ModuleDict({m: Within(settings) for m in modalities})
        self.from_others, self.from_hub = (
            nn.ModuleDict({m: MultiHeadAttention(width, heads) for m in others}) for _ in range(2)
        )
        self.join = nn.Linear(len(others) * width, width) if others else None
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self, streams: Mapping[str, Tensor], usable: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Update f.

        Args:
            streams: f by modality, [batch, turn, width].
            usable: True where a modality may be attended to, [batch, turn].
        """
        parts: dict[str, Within] = dict(self.within.items())  # type: ignore[arg-type]
        hidden = {m: part.before(streams[m], usable[m]) for m, part in parts.items()}
        sums = {m: streams[m] + h for m, h in hidden.items()}
        if self.join is not None:
            own = hidden[self.hub]
            read = [
                self.dropout(ask(own, hidden[m], usable[m])) for m, ask in self.from_others.items()
            ]
            joined = torch.relu(self.join(torch.cat(read, dim=-1)))
            sums[self.hub] = sums[self.hub] + self.dropout(joined)
            for modality, ask in self.from_hub.items():
                answer = ask(hidden[modality], own, usable[self.hub])
                sums[modality] = sums[modality] + self.dropout(answer)
        return {m: part.after(streams[m], sums[m]) for m, part in parts.items()}


class CfnEsa(System):
    """RUME, then ACME, a classifier, and in training a second one for pairs of turns (LESM).

    RUME, with the same weights for each modality: layers of a GRU and a feed-forward network
    (`RecurrentLayer`). ACME: layers in which modalities meet through the hub (`CrossModalLayer`),
    which is text, or else the first modality. `z = dropout(ReLU(W [f of all]))`, `logits = V z`.
    `L = CE(logits) + lambda CE(pairs)` over all pairs of labelled turns i, j of a dialogue, i = j
    too: whether their emotions differ, from `[z_i; z'_j]`, z' from a second pass through ACME with
    other dropout. A pair that does (not) differ weighs 1 / (2 p), p the share of such pairs in the
    train split. A single modality only reads itself.
    """

    Settings = CfnEsaSettings
    SOURCE = Source(
        fidelity="code",
        citation="Li et al., CFN-ESA: A Cross-Modal Fusion Network With Emotion-Shift Awareness "
        "for Dialogue Emotion Recognition, IEEE Transactions on Affective Computing 15(4), 2024",
        commit="lijfrank-open/CFN-ESA@31e17693be355ec3e3de88a01ab52ad3a0be4472",
        adapted="keys masked by availability, where the code adds 1 to scores of real turns and "
        "attends to padding; GRUs packed; focal loss of the harness, where the code's for MELD "
        "takes the log-probability for the probability of every class; the share of shifts from "
        "the train split, where the code has numbers; the hub when text is missing; common "
        "inputs; without AMSGrad; clipped gradients; the epoch chosen on validation, where the "
        "code takes the best on test",
    )
    shift_weights: Tensor
    """Of pairs that do not differ and that do, [2]."""

    def __init__(self, settings: CfnEsaSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities = settings.width, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.recurrent = nn.ModuleList(
            RecurrentLayer(settings) for _ in range(settings.context_layers)
        )
        self.cross_modal = nn.ModuleList(
            CrossModalLayer(modalities, settings) for _ in range(settings.layers)
        )
        self.join = nn.Sequential(
            nn.Linear(len(modalities) * width, width), nn.ReLU(), nn.Dropout(settings.dropout)
        )
        self.head = nn.Linear(width, shape.classes)
        self.shift = ShiftClassifier(width) if settings.shift else None
        self.register_buffer("shift_weights", torch.ones(2))

    def prepare(self, train: Sequence[Dialogue]) -> None:
        """Weigh pairs that differ and pairs that do not by how rare they are in the train split."""
        self.shift_weights.copy_(shift_weights([dialogue.labels for dialogue in train]))

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has z and, in training, z' of a second pass."""
        utterances = self.inputs(batch)
        encoded, mask = utterances.flatten(0, 1), batch.turn_mask.repeat(len(utterances), 1)
        for layer in self.recurrent:
            encoded = layer(encoded, mask)
        streams = dict(zip(self.inputs.modalities, encoded.view_as(utterances), strict=True))
        fused = {"first": self._fuse(streams, batch)}
        if self.shift is not None:
            fused["second"] = self._fuse(streams, batch) if self.training else fused["first"]
        return Output(self.head(fused["first"]), fused)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, and that of the pairs of labelled turns."""
        terms = super().losses(output, batch, entropy)
        if self.shift is not None:
            logits = self.shift(output.extra["first"], output.extra["second"])
            pairs = Entropy(self.shift_weights)(logits, shifts(batch.labels))
            terms["shift"] = self.settings.shift * pairs
        return terms

    def _fuse(self, streams: Mapping[str, Tensor], batch: DialogueBatch) -> Tensor:
        """Compute z from what RUME gives by modality, each [batch, turn, width]."""
        usable = {m: batch.available(m) for m in streams}
        for layer in self.cross_modal:
            streams = layer(streams, usable)
        joined: Tensor = self.join(torch.cat(tuple(streams.values()), dim=-1))
        return joined
