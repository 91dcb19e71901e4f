"""Two views of a turn and its past (MVN, Ma et al., 2022): of their words, of their utterances."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.nn.attention import attend, masked_softmax
from pipeline.nn.packed import PackedRNN
from pipeline.nn.past import PastWindows, pass_over

CONTEXT_TOKENS = 4096
"""The word view takes as many turns at once as have this many tokens in their windows."""


class WordView(nn.Module):
    """Attention among the tokens of a turn, of its window, and between the two.

    With q the turn's tokens, c all of its window's, A and B attention blocks, G gates (each of
    them with one set of weights), and max over tokens: `turn = max G_1(A(q, q), B(q, c))`,
    `past = max G_1(A(c, c), B(c, q))`, `view = G_2(turn, past)`; without a past, `max A(q, q)`.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.within = AttentionBlock(width, dropout)
        self.across = AttentionBlock(width, dropout)
        self.token_gate, self.view_gate = Gate(width), Gate(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, usable: Tensor, windows: PastWindows) -> Tensor:
        """View each turn.

        Args:
            tokens: [row, token, width].
            usable: Which of them count, at least one of each turn, [row, token].
            windows: The turns before each turn.

        Returns:
            [row, width].
        """
        size = max(1, CONTEXT_TOKENS // (windows.mask.shape[1] * tokens.shape[1]))
        if size >= len(tokens):
            return self._view(tokens, usable, windows, slice(None))
        views = [
            # What its backward pass needs of a chunk is computed anew in it, and not kept.
            checkpoint(self._view, tokens, usable, windows, some, use_reentrant=False)
            for some in (slice(row, row + size) for row in range(0, len(tokens), size))
        ]
        return torch.cat(views)

    def _view(self, tokens: Tensor, usable: Tensor, windows: PastWindows, some: slice) -> Tensor:
        """View some of the turns."""
        turn, here = tokens[some], usable[some]
        past = windows.gather(tokens.flatten(1), some)
        past = past.reshape(len(turn), -1, tokens.shape[2])  # [row, place * token, width]
        there = (usable[windows.source[some]] & windows.mask[some].unsqueeze(2)).flatten(1)
        alone = self.within(turn, turn, here)
        informed = self.token_gate(alone, self.across(turn, past, there))
        context = self.token_gate(self.within(past, past, there), self.across(past, turn, here))
        view = self.view_gate(self._pool(informed, here), self._pool(context, there))
        return torch.where(there.any(1, keepdim=True), view, self._pool(alone, here))

    def _pool(self, tokens: Tensor, usable: Tensor) -> Tensor:
        pooled: Tensor = self.dropout(largest(tokens, usable))
        return pooled


class UtteranceView(nn.Module):
    """Attention to a bidirectional GRU over the utterances of the window.

    With k in the window of turn t: `m_k = u_k + forwards_k + backwards_k`,
    `view = G(u_t, sum_k softmax_k(m_k . u_t) m_k)`; without a past, `u_t`.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.rnn = PackedRNN("gru", width, width)
        self.gate = Gate(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, utterances: Tensor, windows: PastWindows) -> Tensor:
        """Map [row, width] to the same shape."""
        past = windows.gather(utterances)
        forwards, backwards = pass_over(self.rnn, past, windows.mask).chunk(2, dim=-1)
        memory = self.dropout(past + forwards + backwards)
        scores = (memory @ utterances.unsqueeze(2)).squeeze(2)
        weights = masked_softmax(scores, windows.mask)
        context = self.dropout((weights.unsqueeze(1) @ memory).squeeze(1))
        some = windows.mask.any(dim=1, keepdim=True)
        return torch.where(some, self.gate(utterances, context), utterances)


class AttentionBlock(nn.Module):
    """Single-head attention and a feed-forward part, both with the one layer norm N.

    `h = N(q + softmax(q Q (x K)^T / sqrt(width)) x V)`, `out = N(h + F_2 ReLU(F_1 h))`.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.feed = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Dropout(dropout)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = dropout

    def forward(self, queries: Tensor, keys: Tensor, usable: Tensor) -> Tensor:
        """Map [row, query, width] to the same shape; `usable` says which keys count, [row, key]."""
        query, key, value = self.query(queries), self.key(keys), self.value(keys)
        dropout = self.dropout if self.training else 0.0
        hidden = self.norm(queries + attend(query, key, value, usable, 1, dropout))
        output: Tensor = self.norm(hidden + self.feed(hidden))
        return output


class Gate(nn.Module):
    """`z = sigmoid(P p + Q q)`, `out = z p + (1 - z) q`, feature by feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Mix p and q, both [..., width]."""
        share = torch.sigmoid(self.first(first) + self.second(second))
        return share * first + (1 - share) * second


def largest(tokens: Tensor, usable: Tensor) -> Tensor:
    """Maximum over the tokens that count, zeros where there are none.

    Args:
        tokens: [row, token, width].
        usable: Which of them count, [row, token].

    Returns:
        [row, width].
    """
    lowest = torch.finfo(tokens.dtype).min
    pooled = tokens.masked_fill(~usable.unsqueeze(2), lowest).amax(dim=1)
    return pooled.masked_fill(~usable.any(dim=1, keepdim=True), 0)
