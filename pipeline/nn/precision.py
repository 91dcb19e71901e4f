"""Full precision where autocast would lower it."""

import torch
from torch import Tensor


def precise(values: Tensor) -> Tensor:
    """Cast to at least float32: exponentials of bfloat16 have only two correct digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def full_precision(values: Tensor) -> torch.autocast:
    """Leave autocast where these values are, which `precise` casts.

    Rounding errors add up over a hundred turns or layers, and unbounded scores have none to lose.
    """
    return torch.autocast(values.device.type, enabled=False)
