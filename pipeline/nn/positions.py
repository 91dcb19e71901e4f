"""Vectors that tell places of a sequence apart."""

import math

import torch
from torch import Tensor


def sinusoids(places: int, width: int, device: torch.device | str | None = None) -> Tensor:
    """Sines and cosines of geometrically falling frequency (Vaswani et al., 2017).

    `out[t, 2i] = sin(t / 10000^(2i / width))`, and `out[t, 2i + 1]` its cosine.

    Args:
        places: How many.
        width: Features of each.
        device: Where to make them.

    Returns:
        [place, width].
    """
    place = torch.arange(places, device=device).unsqueeze(1)
    even = torch.arange(0, width, 2, device=device)
    angles = place * torch.exp(even * (-math.log(10000) / width))
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]
