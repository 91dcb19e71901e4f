"""Two views of a turn and its past (MVN, Ma et al., 2022): of their words, of their utterances."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.nn.attention import attend, masked_softmax
from pipeline.nn.packed import PackedRNN
from pipeline.nn.past import PastWindows, pass_over
from pipeline.nn.precision import full_precision, precise

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
        # A token's maps are the same in every window that it is in.
        states = torch.cat((tokens, self.within.maps(tokens), self.across.maps(tokens)), dim=2)
        size = max(1, CONTEXT_TOKENS // (windows.mask.shape[1] * tokens.shape[1]))
        if size >= len(tokens):
            return self._view(states, usable, windows, slice(None))
        views = [
            # What its backward pass needs of a chunk is computed anew in it, and not kept.
            checkpoint(self._view, states, usable, windows, some, use_reentrant=False)
            for some in (slice(row, row + size) for row in range(0, len(tokens), size))
        ]
        return torch.cat(views)

    def _view(self, states: Tensor, usable: Tensor, windows: PastWindows, some: slice) -> Tensor:
        """View some of the turns, from [row, token, width and both blocks' maps]."""
        width = states.shape[2] // 7
        parts, here = (width, 3 * width, 3 * width), usable[some]
        turn, turn_within, turn_across = states[some].split_with_sizes(parts, dim=2)
        window = windows.gather(states.flatten(1), some)
        window = window.reshape(len(turn), -1, states.shape[2])  # [row, place * token, ...]
        past, past_within, past_across = window.split_with_sizes(parts, dim=2)
        there = (usable[windows.source[some]] & windows.mask[some].unsqueeze(2)).flatten(1)
        alone = self.within(turn, turn_within, turn_within, here)
        informed = self.token_gate(alone, self.across(turn, turn_across, past_across, there))
        context = self.token_gate(
            self.within(past, past_within, past_within, there),
            self.across(past, past_across, turn_across, here),
        )
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
        self.forwards = PackedRNN("gru", width, width, bidirectional=False)
        self.backwards = PackedRNN("gru", width, width, bidirectional=False)
        self.gate = Gate(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, utterances: Tensor, windows: PastWindows) -> Tensor:
        """Map [row, width] to the same shape."""
        past = windows.gather(utterances)
        forwards = pass_over(self.forwards, past, windows.mask)
        backwards = pass_over(self.backwards, past.flip(1), windows.mask.flip(1)).flip(1)
        memory = self.dropout(past + forwards + backwards)
        with full_precision(memory):
            scores = (precise(memory) @ precise(utterances).unsqueeze(2)).squeeze(2)
            weights = masked_softmax(scores, windows.mask)
            context = self.dropout((weights.unsqueeze(1) @ precise(memory)).squeeze(1))
        some = windows.mask.any(dim=1, keepdim=True)
        return torch.where(some, self.gate(utterances, context), utterances)


class AttentionBlock(nn.Module):
    """Single-head attention and a feed-forward part, both with the one layer norm N.

    `h = N(q + softmax(q Q (x K)^T / sqrt(width)) x V)`, `out = N(h + F_2 ReLU(F_1 h))`.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.maps = nn.Linear(width, 3 * width, bias=False)  # Q, K and V
        self.feed = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.Dropout(dropout)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = dropout

    def forward(self, tokens: Tensor, own: Tensor, read: Tensor, usable: Tensor) -> Tensor:
        """Attend from tokens to others.

        Args:
            tokens: q, [row, query, width].
            own: Their `maps`, [row, query, 3 * width].
            read: `maps` of x, [row, key, 3 * width].
            usable: Which keys count, [row, key].

        Returns:
            [row, query, width].
        """
        (query, _, _), (_, key, value) = own.chunk(3, dim=2), read.chunk(3, dim=2)
        dropout = self.dropout if self.training else 0.0
        hidden = self.norm(tokens + attend(query, key, value, usable, 1, dropout))
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
