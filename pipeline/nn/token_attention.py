"""A vector of a few tokens that attend to each other."""

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.nn.attention import transformer


class TokenAttention(nn.Module):
    """Pool the tokens of a row after a transformer: `pool of Transformer(x_i + kind_i)`.

    Args:
        tokens: How many, each of a kind that has a learned vector.
        width: Features of a token.
        heads: A divisor of the width.
        feedforward: Features between the two maps of a layer.
        layers: How many are stacked.
        dropout: Of the transformer.
        pool: The mean of the usable tokens, or the largest of each feature.
    """

    def __init__(
        self,
        tokens: int,
        width: int,
        *,
        heads: int,
        feedforward: int,
        layers: int,
        dropout: float,
        pool: Literal["mean", "max"],
    ) -> None:
        super().__init__()
        self.kinds = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.transformer = transformer(width, heads, feedforward, layers, dropout)
        self.pool = pool

    def forward(self, tokens: Tensor, usable: Tensor) -> Tensor:
        """Map [row, token, width] to [row, width].

        Args:
            tokens: Finite, also where they are not usable.
            usable: True for at least one token of each row, [row, token].
        """
        tokens = self.transformer(tokens + self.kinds, src_key_padding_mask=~usable)
        unusable = ~usable.unsqueeze(-1)
        if self.pool == "max":
            return tokens.masked_fill(unusable, -torch.inf).amax(dim=1)
        return tokens.masked_fill(unusable, 0).sum(dim=1) / usable.sum(dim=1, keepdim=True)
