"""Orthogonality of two representations of the same rows (Bousmalis et al., NeurIPS 2016)."""

import torch
from torch import Tensor

from pipeline.nn.precision import full_precision, precise

LEAST = 1e-6  # added to lengths, so that a row of zeros stays one


def orthogonality(x: Tensor, y: Tensor) -> Tensor:
    """Mean square of the entries of `X'Y`, [feature, feature], 0 where they share no direction.

    Rows are centred over the sample and divided by their lengths, which have no gradient.

    Args:
        x: [row, feature].
        y: [row, feature].

    Returns:
        A scalar, 0 without rows, and of a single one.
    """
    if not len(x):
        return precise(x).sum() + precise(y).sum()
    with full_precision(x):
        products = _centred(precise(x)).T @ _centred(precise(y))
        return products.square().mean()


def _centred(rows: Tensor) -> Tensor:
    rows = rows - rows.mean(dim=0)
    lengths: Tensor = torch.linalg.vector_norm(rows.detach(), dim=1, keepdim=True)
    return rows / (lengths + LEAST)
