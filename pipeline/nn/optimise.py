"""What an optimiser is given, and the precision that it and the network compute in."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Player:
    """Parameters with an optimiser (AdamW) and a clipping of their own."""

    parameters: Sequence[nn.Parameter]
    learning_rate: float = 1.0
    """Share of the settings' learning rate."""

    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float | None = None
    """None: that of the settings."""


def lower_precision(device: str, precision: str) -> torch.dtype | None:
    """The dtype of `compute.precision` on a device; None: float32 throughout."""
    if device != "cuda" or precision == "float32":
        return None
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def autocast(device: torch.device, precision: torch.dtype | None) -> AbstractContextManager[object]:
    """Autocast context for `precision`; a no-op when it is None."""
    return nullcontext() if precision is None else torch.autocast(device.type, precision)
