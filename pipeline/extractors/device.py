"""Where networks run, and with how many threads."""

from typing import Any

import torch

from pipeline.errors import PipelineError


def resolve_device(name: str) -> str:
    """The device a setting means: `auto` takes cuda where there is one, else cpu.

    Raises:
        PipelineError: The named device is not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not here[name]:
        have = [device for device, there in here.items() if there]
        raise PipelineError(
            f"compute.device: got {name!r}, which this machine lacks; it has {have}. "
            "Set it to auto, or install a driver and a build of torch that fit."
        )
    return name


def arithmetic(device: str, threads: int, precision: str) -> dict[str, Any]:
    """What of the `compute` settings moves the last bits of a vector on a device.

    A CPU computes in float32 and its threads enter the order of a sum; a GPU has a precision.
    """
    if device == "cpu":
        return {"device": device, "threads": threads}
    return {"device": device, "precision": precision if device == "cuda" else "float32"}


def set_threads(count: int) -> None:
    """Fixes the CPU threads of one operation, which enter the last bits of a sum."""
    torch.set_num_threads(count)
