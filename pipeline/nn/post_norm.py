"""A transformer layer that attends from one sequence to another, or to itself."""

from torch import Tensor, nn

from pipeline.nn.attention import MultiHeadAttention


class PostNormLayer(nn.Module):
    """Attention, then a feed-forward network, each added and normalised (Vaswani et al., 2017).

    `x <- LN(x + MHA(x, keys))`, `x <- LN(x + W_2 ReLU(W_1 x))`. A query without any key keeps its
    own vector. Dropout is of the attention weights, of each part's result and behind the ReLU.

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
        """Update the queries.

        Args:
            queries: x, [batch, query, width].
            keys: The queries themselves for self-attention, [batch, key, width].
            usable: True where a key may be attended to, [batch, key].

        Returns:
            [batch, query, width].
        """
        attended = self.dropout(self.attention(queries, keys, usable))
        queries = self.attention_norm(queries + attended)
        updated: Tensor = self.norm(queries + self.feed_forward(queries))
        return updated
