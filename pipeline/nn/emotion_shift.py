"""Telling whether two turns of a dialogue differ in emotion (Li et al., CFN-ESA, 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.nn.batch import NO_LABEL

FEATURES = 128
DROPOUT = 0.05


class ShiftClassifier(nn.Module):
    """`V dropout(ReLU(U [z_i; z'_j]))` for every pair of turns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # U is a sum of a part of either turn: no two are ever joined.
        self.first = nn.Linear(width, FEATURES)
        self.second = nn.Linear(width, FEATURES, bias=False)
        self.scores = nn.Sequential(nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(FEATURES, 2))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map z and z', [batch, turn, width], to logits, [batch, turn of z, turn of z', 2]."""
        hidden = self.first(first).unsqueeze(2) + self.second(second).unsqueeze(1)
        logits: Tensor = self.scores(hidden)
        return logits


def shifts(labels: Tensor) -> Tensor:
    """1 for two turns that differ, 0 for two that do not, -1 if either has no label.

    Args:
        labels: -1 for none, [..., turn].

    Returns:
        [..., turn, turn].
    """
    one, other = labels.unsqueeze(-1), labels.unsqueeze(-2)
    unknown = (one == NO_LABEL) | (other == NO_LABEL)
    return (one != other).long().masked_fill(unknown, NO_LABEL)


def shift_weights(labels: Sequence[Tensor]) -> Tensor:
    """Cross-entropy weights of pairs that do not differ and that do, [2].

    `1 / (2 p)`, p the share of such pairs in all of them; 0 where there are none.

    Args:
        labels: Of each dialogue of the train split, -1 for none, [turn].
    """
    pairs = torch.cat([shifts(turns).flatten() for turns in labels])
    counts = torch.bincount(pairs[pairs != NO_LABEL], minlength=2)
    weights = counts.sum() / (2 * counts.clamp(min=1))
    return weights.masked_fill(counts == 0, 0)
