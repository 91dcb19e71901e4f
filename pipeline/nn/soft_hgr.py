"""Soft-HGR (Wang et al., AAAI 2019): how much two views of the same rows have in common."""

import torch
from torch import Tensor

from pipeline.nn.precision import full_precision, precise


def soft_hgr(first: Tensor, second: Tensor) -> Tensor:
    """`-(mean_r f_r . g_r - tr(cov(f) cov(g)) / 2) / D`: the loss that makes views correlate.

    Views are centred over the rows, and covariances are means over them. Equal views that are
    whitened give -1/2, the minimum, whatever D.

    Args:
        first: f, [row, D].
        second: g, of the same rows, [row, D].

    Returns:
        A scalar, in float32 or more; 0 if there are fewer than two rows.
    """
    first, second = precise(first), precise(second)
    rows, features = first.shape
    if rows < 2:
        return first.sum() * 0 + second.sum() * 0
    with full_precision(first):
        first, second = first - first.mean(dim=0), second - second.mean(dim=0)
        covariances = [torch.mm(view.T, view) / rows for view in (first, second)]
        common = (first * second).sum(dim=1).mean()
        # The trace of a product of symmetric matrices is the sum of what they are entry by entry.
        return ((covariances[0] * covariances[1]).sum() / 2 - common) / features
