"""Graph attention whose scores are no inner products: a hidden layer sees each pair of turns."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipeline.nn.attention import masked_softmax
from pipeline.nn.graph import band

BLOCK = 8
"""Receivers whose hidden layer is held at once: smaller blocks meet fewer turns outside the window,
but are more. Of 8, 16, 32 and 110 this is the fastest on a CPU."""


class GATv2(nn.Module):
    """Dynamic graph attention (Brody et al., ICLR 2022) to the turns within a window, dense.

    With `s_j = W_s x_j + b_s` and `r_i = W_r x_i + b_r` of each head: `score_ij = a .
    LeakyReLU_0.2(s_j + r_i)`, `out_i = mean over heads of sum_j softmax_j(score_ij) s_j, + b`.

    Memory grows with the number of turns, not with its square times the width: hidden layers are
    computed for a block of receivers and the senders within reach, and again for the gradient.

    Args:
        width: Features of a turn, of a head and of the result.
        heads: How many are averaged.
        past: How many earlier turns send to a turn; -1 for all.
        future: How many later ones; -1 for all.
    """

    def __init__(self, width: int, heads: int, past: int, future: int) -> None:
        super().__init__()
        self.heads, self.past, self.future = heads, past, future
        self.sender = nn.Linear(width, heads * width)
        self.receiver = nn.Linear(width, heads * width)
        self.attention = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, width)))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, nodes: Tensor, turn_mask: Tensor) -> Tensor:
        """Pass messages once.

        Args:
            nodes: x, finite, [batch, turn, width].
            turn_mask: True where a turn is real, [batch, turn].

        Returns:
            [batch, turn, width].
        """
        senders, receivers = self._split(self.sender(nodes)), self._split(self.receiver(nodes))
        edges = band(turn_mask, self.past, self.future).unsqueeze(1)
        mixed = []
        for start in range(0, nodes.shape[1], BLOCK):
            block, reach = slice(start, start + BLOCK), self._reach(start)
            # Without a random state to restore, as nothing here draws.
            scores = checkpoint(
                self._scores,
                receivers[:, :, block],
                senders[:, :, reach],
                use_reentrant=False,
                preserve_rng_state=False,
            )
            weights = masked_softmax(scores, edges[:, :, block, reach])
            mixed.append((weights @ senders[:, :, reach]).mean(dim=1))
        return torch.cat(mixed, dim=1) + self.bias

    def _split(self, vectors: Tensor) -> Tensor:
        """Map [batch, turn, head * width] to [batch, head, turn, width]."""
        return vectors.view(*vectors.shape[:2], self.heads, -1).transpose(1, 2).contiguous()

    def _reach(self, start: int) -> slice:
        """Who may send to the block of receivers from a turn on."""
        first = 0 if self.past < 0 else max(start - self.past, 0)
        return slice(first, None if self.future < 0 else start + BLOCK + self.future)

    def _scores(self, receivers: Tensor, senders: Tensor) -> Tensor:
        """Score each pair of r and s, both [batch, head, turn, width]."""
        hidden = functional.leaky_relu_(receivers.unsqueeze(3) + senders.unsqueeze(2), 0.2)
        return (hidden @ self.attention[:, None, :, None]).squeeze(-1)
