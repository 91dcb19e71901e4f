"""InfoNCE (van den Oord et al., 2018): which row of another view belongs to a row."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.precision import full_precision, precise


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """`-log softmax_j(cos(q_i, k_j) / tau)` at j = i: the negatives are the keys of other rows.

    Args:
        queries: q, of any length, [row, feature].
        keys: k, [row, feature].
        temperature: tau.

    Returns:
        The mean over rows, 0 without any or with a single one.
    """
    if not len(queries):
        return precise(queries).sum() + precise(keys).sum()
    with full_precision(queries):
        one, other = (functional.normalize(precise(v), dim=-1) for v in (queries, keys))
        return functional.cross_entropy(
            one @ other.T / temperature, torch.arange(len(one), device=one.device)
        )
