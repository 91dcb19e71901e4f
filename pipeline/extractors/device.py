"""Where networks run, and with how many threads."""

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


def set_threads(count: int) -> None:
    """Fixes the CPU threads of one operation, which enter the last bits of a sum."""
    torch.set_num_threads(count)
