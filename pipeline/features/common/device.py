"""Where networks run, and with how many threads."""

import os
import sys
from pathlib import Path
from typing import Any

from pipeline.base.arithmetic import pinned
from pipeline.base.errors import PipelineError
from pipeline.base.settings import ComputeSettings
from pipeline.executors.spread import Needs, on_cluster

# What Linux shows of the drivers of NVIDIA, AMD, Windows below it, and Jetson.
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/nvmap")


def resolve_device(name: str) -> str:
    """Resolve a setting to a device that is here: `auto` takes cuda where there is one, else cpu.

    Torch is asked only where there may be another device than a CPU: importing it takes seconds,
    which a stage that finds everything in the cache need not wait for.
    """
    if name == "cpu" or (name == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    gpus = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not gpus[name]:
        have = ["cpu", *(device for device, there in gpus.items() if there)]
        raise PipelineError(
            f"compute.device: got {name!r}, which this machine lacks; it has {have}. "
            "Set it to auto, or install a driver and a build of torch that fit."
        )
    return name


def chosen_device(name: str) -> str:
    """As `resolve_device`, where what it is for may run elsewhere.

    A cluster's nodes need the GPU and this machine does not: `cuda` is then taken at its word.
    """
    return name if name == "cuda" and on_cluster() else resolve_device(name)


def _may_have_gpu() -> bool:
    return sys.platform != "linux" or any(Path(driver).exists() for driver in GPU_DRIVERS)


def arithmetic(device: str, threads: int, precision: str) -> dict[str, Any]:
    """The part of the `compute` settings that moves the last bits of a vector on a device.

    A CPU computes in float32, its threads enter the order of a sum, and its type enters unless the
    arithmetic is portable; a GPU has a precision.
    """
    if device == "cpu":
        portable = {"arithmetic": "portable"} if pinned() else {}
        return {"device": device, "threads": threads, **portable}
    return {"device": device, "precision": precision if device == "cuda" else "float32"}


def needs_of(stage: str, compute: ComputeSettings) -> Needs:
    """What an item takes whose network runs as `compute` says."""
    return Needs(stage, cpus=compute.threads, gpu=chosen_device(compute.device) != "cpu")


def picture_backend(device: str, backend: str) -> str:
    """The backend of picture networks: the setting's choice on a CPU, elsewhere torch."""
    return backend if device == "cpu" else "torch"


def refuse_nondeterminism() -> None:
    """Refuse GPU kernels whose results vary from run to run, in this process."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


def set_threads(count: int) -> None:
    """Fix the CPU threads of one operation, which enter the last bits of a sum."""
    import torch

    torch.set_num_threads(count)
