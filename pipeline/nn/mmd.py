"""Maximum mean discrepancy (Gretton et al., JMLR 2012): how far two samples differ as such."""

import torch
from torch import Tensor

from pipeline.nn.precision import full_precision, precise

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Variances of the kernels, as shares of the median squared distance."""

MOST_ROWS = 1024
"""Rows of a sample that are compared; the cost is quadratic."""


def mmd(x: Tensor, y: Tensor) -> Tensor:
    """Squared MMD under a mixture of Gaussian kernels as wide as the rows lie apart.

    Args:
        x: [row, feature]; of many rows, some are drawn.
        y: [row, feature].

    Returns:
        A scalar, at least 0; 0 if either sample has fewer than two rows.
    """
    if min(len(x), len(y)) < 2:
        return precise(x).sum() * 0 + precise(y).sum() * 0
    with full_precision(x):
        x, y = _some(precise(x)), _some(precise(y))
        distances = _squared_distances(torch.cat((x, y)))
        above = torch.ones_like(distances, dtype=torch.bool).triu(1)
        median = distances.detach()[above].median().clamp(min=torch.finfo(x.dtype).tiny)
        scales = torch.tensor(SCALES, dtype=x.dtype, device=x.device)
        return discrepancy(distances, len(x), median * scales)


def discrepancy(distances: Tensor, rows: int, variances: Tensor) -> Tensor:
    """`mean k(X, X) + mean k(Y, Y) - 2 mean k(X, Y)`, the biased estimate.

    With `k(x, y) = mean_j exp(-|x - y|^2 / (2 variance_j))`.

    Args:
        distances: Squared, of all rows of X and Y, [row, row].
        rows: How many of them, the first ones, are X.
        variances: [kernel].
    """
    kernel = torch.stack([torch.exp(-distances / (2 * v)) for v in variances]).mean(dim=0)
    same = kernel[:rows, :rows].mean() + kernel[rows:, rows:].mean()
    return same - 2 * kernel[:rows, rows:].mean()


def _squared_distances(rows: Tensor) -> Tensor:
    squares = rows.square().sum(dim=1)
    return (squares.unsqueeze(1) + squares - 2 * rows @ rows.T).clamp(min=0)


def _some(rows: Tensor) -> Tensor:
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[torch.randperm(len(rows))[:MOST_ROWS].to(rows.device)]
