"""MISA: what the modalities of a turn share, and what each has of its own."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.adversarial import recognised, recognition_loss, reverse_gradient, spread
from pipeline.nn.batch import DialogueBatch, Packing
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.shared_private import SharedPrivate, Spaces
from pipeline.nn.transformer_layers import PostNormLayer
from pipeline.systems.base import Output, Settings, Shape, Source, System

TRANSFORMER_DROPOUT = 0.1  # PyTorch's default, which the public code keeps
REVERSAL = 1.0  # weight of the public code, which has no ramp


class MisaSettings(Settings):
    """Sizes of the network and weights of its losses; defaults are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (256).")
    hidden: int = Field(ge=1, le=4096, description="Features of a shared or private vector (128).")
    heads: int = Field(ge=1, le=64, description="Attention heads over the vectors of a turn.")
    feedforward: int = Field(ge=1, le=16384)
    similarity_by: Literal["cmd", "adversarial"] = Field(
        description="How shared vectors of modalities become alike: by their central moments, or "
        "because a discriminator, whose gradient is reversed, tells the modalities apart."
    )
    similarity: float = Field(ge=0, description="Weight of likeness of the shared vectors.")
    difference: float = Field(
        ge=0, description="Weight of orthogonality of shared and private vectors."
    )
    reconstruction: float = Field(ge=0, description="Weight of the error of a turn's own vectors.")
    dropout: float = Field(ge=0, lt=1, description="Before the last layer; in the discriminator.")

    @model_validator(mode="after")
    def _agree(self) -> "MisaSettings":
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self


class Misa(System):
    """Each turn alone: a shared and a private vector per modality, and a transformer over them.

    With u_m the inputs: `o_m = LN(ReLU(W_m u_m))`, `p_m = sigmoid(P_m o_m)` private,
    `c_m = sigmoid(C o_m)` shared; a transformer layer over the p and c of the turn, then
    `logits = V dropout(ReLU(U [p..; c..]))`. The vectors of a modality that a turn lacks are no
    keys. Losses, means or sums over modalities m and pairs of them m, n, on the turns that have
    them: similarity `mean CMD(c_m, c_n)`, difference `sum orthogonality(c_m, p_m) + sum
    orthogonality(p_m, p_n)`, reconstruction `mean |R_m (p_m + c_m) - o_m|^2`, o_m without gradient.
    One modality has no similarity.
    """

    Settings = MisaSettings
    SOURCE = Source(
        fidelity="code",
        citation="Hazarika et al., MISA: Modality-Invariant and -Specific Representations for "
        "Multimodal Sentiment Analysis, ACM Multimedia 2020",
        commit="declare-lab/MISA@9ab97ce410b40b03a188253c55df5b1842f0e8c4",
        adapted="common inputs in the place of BERT and of LSTMs over words and frames, which the "
        "code packs by the length of the text; reconstruction of a target without gradient; norms "
        "of the CMD that have a gradient where moments are equal; absent modalities are masked; "
        "losses over the turns of some dialogues, where the code has utterances; a clipped "
        "norm, where the code clips each gradient; stopped by validation "
        "weighted F1, where the code has the loss",
    )

    READS_DIALOGUE = False

    def __init__(self, settings: MisaSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        count, hidden, dropout = len(shape.features), settings.hidden, settings.dropout
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.own = nn.ModuleList(
            nn.Sequential(nn.Linear(settings.width, hidden), nn.ReLU(), nn.LayerNorm(hidden))
            for _ in range(count)
        )
        self.spaces = SharedPrivate(count, hidden, restores=settings.reconstruction > 0)
        self.discriminator = (
            nn.Sequential(
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, count),
            )
            if settings.similarity and settings.similarity_by == "adversarial" and count > 1
            else None
        )
        self.transformer = PostNormLayer(
            hidden, settings.heads, settings.feedforward, TRANSFORMER_DROPOUT
        )
        self.head = nn.Sequential(
            nn.Linear(2 * count * hidden, count * hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(count * hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn.

        `extra` has the `Spaces` of the real turns.
        """
        packing = Packing(batch.turn_mask)
        rows = packing.pack(self.inputs(batch))
        available = batch.all_available(self.inputs.modalities)[:, batch.turn_mask]
        own = torch.stack([layer(m) for layer, m in zip(self.own, rows, strict=True)])
        spaces = self.spaces(own, available)
        tokens = torch.cat((spaces.private, spaces.shared)).transpose(0, 1)
        mixed = self.transformer(tokens, tokens, available.T.repeat(1, 2))
        return Output(packing.unpack(self.head(mixed.flatten(1))), {"spaces": spaces})

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, similarity, difference and reconstruction."""
        terms, settings = super().losses(output, batch, entropy), self.settings
        spaces = output.extra["spaces"]
        if settings.similarity and len(self.own) > 1:
            terms["similarity"] = settings.similarity * self._similarity(spaces)
        if settings.difference:
            terms["difference"] = settings.difference * spaces.difference(fixed_lengths=True)
        if settings.reconstruction:
            terms["reconstruction"] = settings.reconstruction * self.spaces.error(spaces)
        return terms

    def figures(self, output: Output, batch: DialogueBatch) -> dict[str, Tensor]:
        """How often the discriminator is right, and how the shared vectors spread."""
        if self.discriminator is None:
            return {}
        spaces = output.extra["spaces"]
        shared = spaces.of(spaces.shared)
        right = recognised(self.discriminator, shared)
        return {"discriminator_accuracy": right} | spread(torch.cat(shared), "shared")

    def _similarity(self, spaces: Spaces) -> Tensor:
        if self.discriminator is None:
            return spaces.similarity()
        reversed_rows = [reverse_gradient(rows, REVERSAL) for rows in spaces.of(spaces.shared)]
        return recognition_loss(self.discriminator, reversed_rows)
