"""Central moment discrepancy (Zellinger et al., ICLR 2017): how far two samples differ as such."""

import torch
from torch import Tensor

from pipeline.nn.precision import precise

MOMENTS = 5
"""The highest moment that is compared."""


def central_moment_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """`|mean x - mean y| + sum over k = 2..5 of |c_k(x) - c_k(y)|`, the central moments by feature.

    Args:
        x: Features between 0 and 1, [row, feature].
        y: Likewise, [row, feature].

    Returns:
        A scalar, 0 if either sample has no rows.
    """
    x, y = precise(x), precise(y)
    if not min(len(x), len(y)):
        return x.sum() * 0 + y.sum() * 0
    means = x.mean(dim=0), y.mean(dim=0)
    differences = [means[0] - means[1]]
    x, y = x - means[0], y - means[1]
    for power in range(2, MOMENTS + 1):
        differences.append((x**power).mean(dim=0) - (y**power).mean(dim=0))
    # Of equal moments this norm has gradient 0, where a root of a sum has an infinite one.
    return torch.stack([torch.linalg.vector_norm(d) for d in differences]).sum()
