"""The multimodal cross-attention network (paper, section 2.3, eq. 6-14).

Misprints corrected here: W^K and W^Q are swapped in eq. 12-13, eq. 9 lacks a transpose, eq. 11
precedes its inputs, and F^ta(j) = Add&Norm(F^t(j-1) + MH^ta(j)) is missing.

Turns are kept as rows without padding and laid out as dialogues for the attention alone: half of a
padded batch is padding, and only attention needs to know which dialogue a turn belongs to.
"""

import torch
from torch import Tensor, nn

from pipeline.nn.attention import attend
from pipeline.nn.batch import Packing


class CrossAttention(nn.Module):
    """Multi-head attention from one modality to another, then Add & Norm (eq. 6-11)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        # No biases, as in eq. 6-10: attention to nothing is then exactly 0.
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, features: Tensor, partner: Tensor, usable: Tensor, packing: Packing
    ) -> Tensor:
        """Update one modality from another.

        Args:
            features: F(j-1), [row, width].
            partner: Context features C of the other modality, [row, width].
            usable: True where a turn of the partner may be attended to, [batch, turn].
            packing: Maps rows to turns of dialogues.

        Returns:
            [row, width].
        """
        attended = self.attend(features, partner, usable, packing)
        updated: Tensor = self.norm(features + attended)
        return updated

    def attend(self, features: Tensor, partner: Tensor, usable: Tensor, packing: Packing) -> Tensor:
        """Compute MH of eq. 10, zeros for a dialogue without usable turns; axes as in `forward`."""
        vectors = (self.query(features), *self.key_value(partner).chunk(2, dim=-1))
        query, key, value = (packing.unpack(rows) for rows in vectors)
        dropout = self.dropout if self.training else 0.0
        joined = attend(query, key, value, usable, self.heads, dropout)
        merged: Tensor = self.output(packing.pack(joined))
        return merged


class MCNBranch(nn.Module):
    """One layer for one modality: a cross-attention per partner, then a feed-forward network."""

    def __init__(self, partners: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(
            CrossAttention(width, heads, dropout) for _ in range(partners)
        )
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, features: Tensor, partners: list[tuple[Tensor, Tensor]], packing: Packing
    ) -> Tensor:
        """Update one modality from each of its partners.

        Args:
            features: F(j-1), [row, width].
            partners: C [row, width] and usable turns [batch, turn] of each.
            packing: Maps rows to turns of dialogues.

        Returns:
            F(j), [row, width].
        """
        for attention, (partner, usable) in zip(self.attentions, partners, strict=True):
            features = attention(features, partner, usable, packing)
        updated: Tensor = self.norm(features + self.feed_forward(features))
        return updated


class MCNLayer(nn.Module):
    """One layer for all modalities."""

    def __init__(self, modalities: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            MCNBranch(modalities - 1, width, heads, dropout) for _ in range(modalities)
        )

    def forward(
        self, features: list[Tensor], sources: list[tuple[Tensor, Tensor]], packing: Packing
    ) -> list[Tensor]:
        """Update every modality from the others.

        Args:
            features: F(j-1) of each, [row, width].
            sources: C [row, width] and usable turns [batch, turn] of each.
            packing: Maps rows to turns of dialogues.

        Returns:
            F(j) of each, [row, width].
        """
        return [
            branch(features[index], sources[:index] + sources[index + 1 :], packing)
            for index, branch in enumerate(self.branches)
        ]


class MCN(nn.Module):
    """T layers in which every modality attends to every other one.

    Only the queries are updated from layer to layer; keys and values stay the context features.
    Partners come in canonical order: text attends to audio then visual, audio to text then visual,
    visual to text then audio.

    Args:
        modalities: How many modalities, at least two.
        width: Size of every vector, a multiple of `heads`.
        heads: H in the paper.
        layers: T in the paper.
        dropout: Dropout of the attention weights and the feed-forward networks.
    """

    def __init__(
        self, modalities: int, width: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"Bad heads {heads}, expected a divisor of the width {width}")
        self.layers = nn.ModuleList(
            MCNLayer(modalities, width, heads, dropout) for _ in range(layers)
        )

    def forward(self, context: Tensor, usable: Tensor, packing: Packing) -> Tensor:
        """Compute F(T) from the context features.

        Args:
            context: C, [modality, row, width], a row per real turn.
            usable: True where a real turn has the modality, [modality, batch, turn].
            packing: Maps rows to turns of dialogues.

        Returns:
            [modality, row, width].
        """
        sources = list(zip(context.unbind(), usable.unbind(), strict=True))
        features = list(context.unbind())
        for layer in self.layers:
            features = layer(features, sources, packing)
        return torch.stack(features)
