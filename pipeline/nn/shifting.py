"""A vector that others shift, by a share of its length at most."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import Packing
from pipeline.nn.precision import precise


class Shifting(nn.Module):
    """Attention-based modality shifting fusion (Yun et al., NAACL 2024).

    With n two vectors side by side: `x = dropout(LN(n + MHA(n)))`,
    `H = ReLU(W_g [x; h]) * W_h x`, `lambda = min(1, theta |h| / |H|)`,
    `Z = dropout(LN(h + lambda H))`.

    Args:
        width: Features of h, and of each of the two vectors.
        heads: A divisor of twice the width.
        shift: theta, the longest shift as a share of |h|.
        dropout: Behind both normalisations.
        whole: Whether a turn attends to those of its dialogue, or to itself alone.
    """

    def __init__(
        self, width: int, heads: int, shift: float, dropout: float, *, whole: bool
    ) -> None:
        super().__init__()
        self.shift, self.whole = shift, whole
        self.attention = MultiHeadAttention(2 * width, heads)
        self.norms = nn.ModuleList((nn.LayerNorm(2 * width), nn.LayerNorm(width)))
        self.dropout = nn.Dropout(dropout)
        self.gate = nn.Linear(3 * width, width)
        self.project = nn.Linear(2 * width, width)

    def forward(self, vectors: Tensor, others: Tensor, usable: Tensor, turn_mask: Tensor) -> Tensor:
        """Shift vectors by what others say.

        Args:
            vectors: h, [batch, turn, width].
            others: n, [batch, turn, 2 * width].
            usable: True where a turn has any of the two, [batch, turn].
            turn_mask: True where a turn is real, [batch, turn].

        Returns:
            Z, [batch, turn, width].
        """
        mixed = self._mixed(others, usable, turn_mask)
        shifted: Tensor = self.dropout(self.norms[1](vectors + self.bounded(vectors, mixed)))
        return shifted

    def bounded(self, vectors: Tensor, mixed: Tensor) -> Tensor:
        """Compute `lambda H` from h and x, [batch, turn, width]."""
        gate = functional.relu(self.gate(torch.cat((mixed, vectors), dim=-1)))
        moved = precise(gate * self.project(mixed))
        length = moved.norm(dim=-1, keepdim=True)
        length = torch.where(length == 0, 1.0, length)
        most = self.shift * precise(vectors).norm(dim=-1, keepdim=True)
        bounded: Tensor = (most / (length + 1e-6)).clamp(max=1) * moved
        return bounded

    def _mixed(self, others: Tensor, usable: Tensor, turn_mask: Tensor) -> Tensor:
        """Compute x, [batch, turn, 2 * width]."""
        if self.whole:
            attended = self.attention(others, others, usable)
        else:  # a sequence per turn
            packing = Packing(turn_mask)
            alone = packing.pack(others).unsqueeze(1)
            there = usable[turn_mask].unsqueeze(1)
            attended = packing.unpack(self.attention(alone, alone, there).squeeze(1))
        mixed: Tensor = self.dropout(self.norms[0](others + attended))
        return mixed
