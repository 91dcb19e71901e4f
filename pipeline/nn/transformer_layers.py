"""Transformer layers that attend from one sequence to another, or to itself.

Unlike PyTorch's, they keep a query that has no key.
"""

from torch import Tensor, nn

from pipeline.nn.attention import MultiHeadAttention


class PostNormLayer(nn.Module):
    """Attention, then a feed-forward network, each added and normalised (Vaswani et al., 2017).

    `x <- LN(x + MHA(x, keys))`, `x <- LN(x + W_2 ReLU(W_1 x))`. Dropout is of the attention
    weights, of each part's result and behind the ReLU.

    Args:
        width: Features of a vector.
        heads: A divisor of the width.
        feedforward: Features between W_1 and W_2.
        dropout: See above.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, width),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor, keys: Tensor, usable: Tensor) -> Tensor:
        """Update the queries; arguments and result are as of `MultiHeadAttention`."""
        attended = self.dropout(self.attention(queries, keys, usable))
        queries = self.attention_norm(queries + attended)
        updated: Tensor = self.norm(queries + self.feed_forward(queries))
        return updated


class PreNormLayer(nn.Module):
    """Attention, then a feed-forward network, each of normalised vectors and added to its input.

    `y = x + MHA(LN_1 x, LN_1 k)`, `out = y + W_2 ReLU(W_1 LN_2 y)`: one normalisation serves
    queries and keys. Arguments and dropout are as of `PostNormLayer`.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.norms = nn.ModuleList((nn.LayerNorm(width), nn.LayerNorm(width)))
        self.dropout = nn.Dropout(dropout)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, width),
        )

    def forward(self, queries: Tensor, keys: Tensor, usable: Tensor) -> Tensor:
        """Update the queries, x, from keys, k; otherwise as of `MultiHeadAttention`."""
        first, second = self.norms
        attended = self.attention(first(queries), first(keys), usable)
        middle = queries + self.dropout(attended)
        updated: Tensor = middle + self.dropout(self.feedforward(second(middle)))
        return updated
