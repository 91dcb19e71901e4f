"""Transformer layers that are normalised before each part, and attention under a mask by pair."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.attention import MultiHeadAttention


class PairwiseAttention(MultiHeadAttention):
    """Multi-head attention whose keys are allowed for each query on its own; 0 for one without."""

    def forward(self, queries: Tensor, keys: Tensor, usable: Tensor) -> Tensor:
        """Attend from one sequence to another.

        Args:
            queries: [batch, query, width].
            keys: Keys and values, finite, [batch, key, width].
            usable: True where a query may attend to a key, [batch, query, key].

        Returns:
            [batch, query, width].
        """

        def split(vectors: Tensor) -> Tensor:
            return vectors.view(*vectors.shape[:2], self.heads, -1).transpose(1, 2)

        key, value = self.key_value(keys).chunk(2, dim=-1)
        some = usable.any(dim=-1, keepdim=True)
        # A softmax over nothing is NaN on some backends: such a query attends to all keys, and its
        # result is zeroed.
        attended = functional.scaled_dot_product_attention(
            split(self.query(queries)),
            split(key),
            split(value),
            attn_mask=(usable | ~some).unsqueeze(1),
            dropout_p=self.dropout if self.training else 0.0,
        )
        output: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return output.masked_fill(~some, 0)


class PreNormLayer(nn.Module):
    """Attention from one sequence to another, or to itself, and a feed-forward network.

    `y = x + MHA(LN_1 x, LN_1 k)`, `out = y + W_2 ReLU(W_1 LN_2 y)`: one normalisation serves
    queries and keys.

    Args:
        width: Features of a vector.
        heads: A divisor of the width.
        feedforward: Features between the two maps.
        dropout: Of attention weights, of each part's result, and between the two maps.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = PairwiseAttention(width, heads, dropout)
        self.norms = nn.ModuleList((nn.LayerNorm(width), nn.LayerNorm(width)))
        self.dropout = nn.Dropout(dropout)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, width),
        )

    def forward(self, sequence: Tensor, source: Tensor, usable: Tensor) -> Tensor:
        """Update a sequence from a source, which may be itself.

        Args:
            sequence: x, [batch, query, width].
            source: k, [batch, key, width].
            usable: True where a query may attend to a key, [batch, query, key].

        Returns:
            [batch, query, width].
        """
        first, second = self.norms
        attended = self.attention(first(sequence), first(source), usable)
        middle = sequence + self.dropout(attended)
        updated: Tensor = middle + self.dropout(self.feedforward(second(middle)))
        return updated


def sinusoids(count: int, width: int, like: Tensor) -> Tensor:
    """Positions from 1 on as waves: `[sin(p w_i); cos(p w_i)]`, `w_i = 10000^(-i / (width/2 - 1))`.

    Args:
        count: How many positions.
        width: Features of one, even, at least 4.
        like: Whose type and device they get.

    Returns:
        [position, width].
    """
    half = torch.arange(width // 2, dtype=torch.float64, device="cpu")
    angles = torch.arange(1, count + 1).unsqueeze(1) * 1e4 ** (-half / (width // 2 - 1))
    return torch.cat((angles.sin(), angles.cos()), dim=1).to(like)
