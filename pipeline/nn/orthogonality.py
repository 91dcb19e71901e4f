"""Orthogonality of two representations of the same rows (Bousmalis et al., NeurIPS 2016)."""

import torch
from torch import Tensor

from pipeline.nn.precision import full_precision, precise

LEAST = 1e-6  # added to lengths, so that a row of zeros stays one


def orthogonality(x: Tensor, y: Tensor, *, fixed_lengths: bool = False) -> Tensor:
    """Mean square of the entries of `X'Y`, [feature, feature], 0 where they share no direction.

    Rows are centred over the sample and divided by their lengths.

    Args:
        x: [row, feature].
        y: [row, feature].
        fixed_lengths: Give the lengths no gradient, as public codes do. The gradient then shrinks
            the sample, which lowers nothing, and grows as it shrinks: rows may end up alike.

    Returns:
        A scalar, 0 without rows, and of a single one.
    """
    if not len(x):
        return precise(x).sum() + precise(y).sum()
    with full_precision(x):
        units = [_units(precise(rows), fixed_lengths) for rows in (x, y)]
        return (units[0].T @ units[1]).square().mean()


def _units(rows: Tensor, fixed_lengths: bool) -> Tensor:
    rows = rows - rows.mean(dim=0)
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    units: Tensor = rows / ((lengths.detach() if fixed_lengths else lengths) + LEAST)
    return units
