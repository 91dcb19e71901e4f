"""Standardisation of the features, kept inside the model so that weights and statistics travel."""

import math

import torch
from torch import Tensor, nn

CONSTANT = 1e-6
"""A column varies if its deviation exceeds this share of its mean: float32 noise is about 1e-7."""


class Standardise(nn.Module):
    """Centres and scales each feature, then clamps it to `limit` standard deviations.

    openSMILE's functionals have heavy tails: unclamped, one clip outweighs a whole dialogue. Until
    `fit` is called it changes nothing.
    """

    mean: Tensor
    scale: Tensor
    bound: Tensor

    def __init__(self, dimension: int, limit: float = 10.0) -> None:
        super().__init__()
        if not limit > 0:
            raise ValueError(f"Bad limit {limit}, expected a positive number of deviations")
        self.limit = limit
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        self.register_buffer("bound", torch.tensor(math.inf))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Sets the statistics, which must come from the train split alone.

        A column that does not vary is centred and not divided: dividing gives NaN or magnifies
        rounding noise.

        Args:
            mean: [feature].
            std: [feature].
        """
        expected = self.mean.shape
        if mean.shape != expected or std.shape != expected:
            raise ValueError(
                f"Bad statistics of shapes {tuple(mean.shape)} and {tuple(std.shape)}, "
                f"expected {tuple(expected)} for both"
            )
        if not (mean.isfinite().all() and std.isfinite().all()):
            raise ValueError("Bad statistics: NaN or infinite; drop the broken utterances first")
        varies = std > (CONSTANT * mean.abs()).clamp(min=torch.finfo(torch.float32).tiny)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(varies, 1 / std, 1.0))
        self.bound.fill_(self.limit)

    def forward(self, features: Tensor) -> Tensor:
        """[..., feature] to the same shape."""
        return ((features - self.mean) * self.scale).clamp(-self.bound, self.bound)
