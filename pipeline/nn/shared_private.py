"""What modalities share and what each has of its own (Hazarika et al., ACM Multimedia 2020)."""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from pipeline.nn.cmd import central_moment_discrepancy
from pipeline.nn.orthogonality import orthogonality
from pipeline.nn.precision import precise


@dataclass(frozen=True)
class Spaces:
    """Vectors of the same rows in three spaces.

    Attributes:
        own: o, what was split, [modality, row, width].
        private: p, of the same shape.
        shared: c, of the same shape.
        available: Where a modality is, [modality, row]; rows without it enter no loss.
    """

    own: Tensor
    private: Tensor
    shared: Tensor
    available: Tensor

    def of(self, vectors: Tensor) -> list[Tensor]:
        """The rows that have a modality, [row, width] of each."""
        return [rows[there] for rows, there in zip(vectors, self.available, strict=True)]

    def similarity(self) -> Tensor:
        """`mean_{m < n} CMD(c_m, c_n)`; there must be two modalities."""
        pairs = combinations(self.of(self.shared), 2)
        return torch.stack([central_moment_discrepancy(x, y) for x, y in pairs]).mean()

    def difference(self, *, fixed_lengths: bool) -> Tensor:
        """`sum_m orthogonality(c_m, p_m) + sum_{m < n} orthogonality(p_m, p_n)`."""
        pairs = list(zip(self.shared, self.private, self.available, strict=True))
        for m, n in combinations(range(len(self.own)), 2):
            both = self.available[m] & self.available[n]
            pairs.append((self.private[m], self.private[n], both))
        terms = [orthogonality(x[a], y[a], fixed_lengths=fixed_lengths) for x, y, a in pairs]
        return torch.stack(terms).sum()


class SharedPrivate(nn.Module):
    """`p_m = sigmoid(P_m o_m)`, `c_m = sigmoid(C o_m)`, and back again, `R_m (p_m + c_m)`.

    Args:
        modalities: How many.
        width: Features of every vector.
        restores: Whether there is a way back.
    """

    def __init__(self, modalities: int, width: int, *, restores: bool) -> None:
        super().__init__()
        self.private = nn.ModuleList(nn.Linear(width, width) for _ in range(modalities))
        self.shared = nn.Linear(width, width)
        back = modalities if restores else 0
        self.back = nn.ModuleList(nn.Linear(width, width) for _ in range(back))

    def forward(self, own: Tensor, available: Tensor) -> Spaces:
        """Split o, [modality, row, width]; see `Spaces`."""
        private = torch.stack([layer(rows) for layer, rows in zip(self.private, own, strict=True)])
        return Spaces(own, torch.sigmoid(private), torch.sigmoid(self.shared(own)), available)

    def restore(self, spaces: Spaces) -> Tensor:
        """`R_m (p_m + c_m)`, [modality, row, width]."""
        joined = spaces.private + spaces.shared
        return torch.stack([layer(rows) for layer, rows in zip(self.back, joined, strict=True)])

    def error(self, spaces: Spaces) -> Tensor:
        """`mean_m |R_m (p_m + c_m) - sg o_m|^2`; of a modality without rows 0."""
        restored, targets = (spaces.of(x) for x in (self.restore(spaces), spaces.own.detach()))
        gaps = [precise(x) - precise(y) for x, y in zip(restored, targets, strict=True)]
        return torch.stack([gap.square().mean() if len(gap) else gap.sum() for gap in gaps]).mean()
