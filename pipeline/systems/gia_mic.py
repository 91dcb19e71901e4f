"""GIA-MIC, in our reading: gated attention between modalities, and what they have alike."""

from itertools import combinations
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.entropy import Entropy
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System


class GiaMicSettings(Settings):
    """Sizes of the network and the weight of its constraint; none could be read."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (256).")
    heads: int = Field(ge=1, le=64, description="Attention heads.")
    context: Literal["dialogue", "none"] = Field(
        description="Which turns of the other modalities a turn attends to: all, or itself alone."
    )
    invariance: float = Field(ge=0, description="Weight of likeness of the modalities' vectors.")
    dropout: float = Field(ge=0, lt=1, description="Of the attention, and before the last layer.")

    @model_validator(mode="after")
    def _agree(self) -> "GiaMicSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class GatedInteraction(nn.Module):
    """Attention from one modality to another, of which a gate keeps a part.

    `c = MHA(u, partner)`, `g * c` with `g = sigmoid(W [u; c] + b)`, feature by feature.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.gate = nn.Linear(2 * width, width)

    def forward(self, utterances: Tensor, partner: Tensor, usable: Tensor) -> Tensor:
        """Map u and the partner, both [batch, turn, width], to the same shape.

        Args:
            utterances: u.
            partner: Keys and values.
            usable: True where a turn of the partner may be attended to, [batch, turn].
        """
        heard: Tensor = self.attention(utterances, partner, usable)
        return heard * torch.sigmoid(self.gate(torch.cat((utterances, heard), dim=-1)))


class Branch(nn.Module):
    """One modality and what it takes from each of the others, added and normalised."""

    def __init__(self, number: int, modalities: int, settings: GiaMicSettings) -> None:
        super().__init__()
        self.number = number
        self.partners = [n for n in range(modalities) if n != number]
        self.interactions = nn.ModuleList(
            GatedInteraction(settings.width, settings.heads, settings.dropout)
            for _ in self.partners
        )
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, utterances: Tensor, available: Tensor) -> Tensor:
        """Map u [modality, batch, turn, width] to h of this one, [batch, turn, width].

        Args:
            utterances: u of all modalities.
            available: True where a turn has the modality, [modality, batch, turn].
        """
        own = level = utterances[self.number]
        for layer, n in zip(self.interactions, self.partners, strict=True):
            level = level + layer(own, utterances[n], available[n])
        normed: Tensor = self.norm(level)
        return normed


class GiaMic(System):
    """Per modality m, with partners n: `h_m = LN(u_m + sum_n g_mn * MHA_mn(u_m, u_n))`.

    g of `GatedInteraction`. A generator of all modalities gives `i_m = G(h_m)`, two layers, and
    `logits = MLP([h..; mean of i])`, the mean also over modalities that the turn lacks.
    `L = CE + invariance L_inv`, the mean over pairs of modalities of `mean(1 - cos(i_m, i_n))` and
    of the mean squared difference of their cosine matrices, of each turn of the batch to each other
    one; over turns that have both. With context `none` an attention has one key: it is a linear
    map of the partner's vector. One modality has no partner, so no attention, no gate and no L_inv:
    each turn is alone.
    """

    Settings = GiaMicSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="He, Mi and Toda, GIA-MIC: Multimodal Emotion Recognition with Gated Interactive "
        "Attention and Modality-Invariant Learning Constraints, Interspeech 2025, arXiv 2506.00865",
        adapted="of the paper, the abstract alone could be read: it names gated interactive "
        "attention between pairs of modalities, and a modality-invariant generator that aligns "
        "similarities across them; every layer, size and weight is ours, on one stored "
        "vector per modality and utterance. It names no conversations, so we take its task to be "
        "a single utterance (`context: none`); by default a turn attends to the whole dialogue",
    )

    def __init__(self, settings: GiaMicSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, count = settings.width, len(shape.features)
        self.READS_DIALOGUE = count > 1
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.branches = nn.ModuleList(Branch(n, count, settings) for n in range(count))
        self.generator = mlp(width, width, width, 0.0)
        self.head = mlp((count + 1) * width, width, shape.classes, settings.dropout)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has i, [modality, batch, turn, width]."""
        utterances = self.inputs(batch)
        available = batch.all_available(self.inputs.modalities)
        shape = utterances.shape[1:]
        if self.settings.context == "none":  # each turn is a dialogue of its own
            utterances = utterances.flatten(1, 2).unsqueeze(2)
            available = available.flatten(1).unsqueeze(2)
        levels = [branch(utterances, available).view(shape) for branch in self.branches]
        alike = self.generator(torch.stack(levels))
        joined = torch.cat((*levels, alike.mean(dim=0)), dim=-1)
        return Output(self.head(joined), {"invariant": alike})

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, and the constraint of the generator."""
        terms = super().losses(output, batch, entropy)
        alike, there = output.extra["invariant"], batch.all_available(self.inputs.modalities)
        pairs = list(combinations(range(len(there)), 2))
        if self.settings.invariance and pairs:
            gaps = [disagreement(*alike[list(pair)][:, there[list(pair)].all(0)]) for pair in pairs]
            terms["invariance"] = self.settings.invariance * torch.stack(gaps).mean()
        return terms


def disagreement(x: Tensor, y: Tensor) -> Tensor:
    """How far two modalities' vectors of the same turns are from being invariant.

    `mean(1 - cos(x, y)) + mean (K_x - K_y)^2`, K the cosines of each row to each other one.

    Args:
        x: [row, feature].
        y: [row, feature].

    Returns:
        A scalar, 0 without rows; of one row, the first part alone.
    """
    if not len(x):
        return precise(x).sum() + precise(y).sum()
    with full_precision(x):
        x, y = (functional.normalize(precise(rows), dim=1) for rows in (x, y))
        apart = (1 - (x * y).sum(dim=1)).mean()
        # The diagonals are 1 on both sides, unless a vector is 0.
        gaps = (x @ x.T - y @ y.T).fill_diagonal_(0).square().sum()
        return apart + gaps / max(1, len(x) * (len(x) - 1))
