"""Attention under a mask: an entry that is not allowed has weight 0, exactly.

Values that no query may read are multiplied by 0, so they must be finite.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.precision import full_precision, precise


def masked_softmax(scores: Tensor, allowed: Tensor, dim: int = -1) -> Tensor:
    """Softmax over the allowed entries; zeros where none is allowed.

    Args:
        scores: [...]; those that are not allowed may be NaN.
        allowed: Boolean, of a shape that expands to that of the scores.
        dim: The axis that sums to 1.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(dim).masked_fill(~allowed, 0)


class NodalAttention(nn.Module):
    """Mix the states of a whole dialogue anew for each turn (Majumder et al., AAAI 2019).

    With m the states: `score(t, j) = (W m_t + b) . m_j`, under tanh if asked for, and
    `out_t = sum_j softmax_j(score(t, j)) m_j` over the real turns j.
    """

    def __init__(self, width: int, *, tanh: bool = False) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.tanh = tanh

    def forward(self, states: Tensor, turn_mask: Tensor) -> Tensor:
        """Map [batch, turn, width] to the same shape, zeros for a dialogue without turns."""
        with full_precision(states):
            states = precise(states)
            scores = self.query(states) @ states.transpose(1, 2)
            if self.tanh:
                scores = torch.tanh(scores)
            return masked_softmax(scores, turn_mask.unsqueeze(1)) @ states


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with maps that have biases; 0 for a query without any key."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"Bad heads {heads}, expected a divisor of the width {width}")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, usable: Tensor) -> Tensor:
        """Attend from one sequence to another.

        Args:
            queries: [batch, query, width].
            keys: Keys and values, [batch, key, width].
            usable: True where a key may be attended to, [batch, key], or [batch, query, key].

        Returns:
            [batch, query, width].
        """
        usable = by_query(usable)
        key, value = self.key_value(keys).chunk(2, dim=-1)
        dropout = self.dropout if self.training else 0.0
        attended = attend(self.query(queries), key, value, usable, self.heads, dropout)
        output: Tensor = self.output(attended)
        return output.masked_fill(~usable.any(dim=-1, keepdim=True), 0)


def by_query(usable: Tensor) -> Tensor:
    """Map [batch, key], the same for all queries, to [batch, 1, key]; others are as they are."""
    return usable.unsqueeze(1) if usable.dim() == 2 else usable


def attend(
    query: Tensor, key: Tensor, value: Tensor, usable: Tensor, heads: int, dropout: float
) -> Tensor:
    """Scaled dot-product attention of several heads, zeros where no key is usable.

    Args:
        query: [batch, query, width].
        key: [batch, key, width].
        value: [batch, key, width].
        usable: True where a key may be attended to, [batch, key], or [batch, query, key].
        heads: Parts that the width is split into.
        dropout: Of the weights.

    Returns:
        [batch, query, width].
    """

    def split(vectors: Tensor) -> Tensor:
        """Map [batch, turn, width] to [batch, head, turn, width / head]."""
        return vectors.view(*vectors.shape[:2], heads, -1).transpose(1, 2)

    usable = by_query(usable)
    some = usable.any(dim=-1, keepdim=True)
    # A softmax over nothing is NaN on some backends: a query without usable keys attends to all of
    # them and its result is zeroed.
    attended = functional.scaled_dot_product_attention(
        split(query),
        split(key),
        split(value),
        attn_mask=(usable | ~some).unsqueeze(1),
        dropout_p=dropout,
    )
    return attended.transpose(1, 2).flatten(2).masked_fill(~some, 0)


def transformer(
    width: int, heads: int, feedforward: int, layers: int, dropout: float
) -> nn.TransformerEncoder:
    """A transformer encoder without positions, normalised after each part (Vaswani et al., 2017).

    Args:
        width: Features of a vector.
        heads: A divisor of the width.
        feedforward: Features between the two maps of a layer.
        layers: How many are stacked.
        dropout: Of attention weights, and of each part's result.

    Returns:
        Maps [batch, turn, width] to the same shape; `src_key_padding_mask` is True in padding.
    """
    layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
