"""What this machine is, in words."""

import platform
import sys
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
NVIDIA = Path("/proc/driver/nvidia/gpus")


def cpu_model() -> str:
    """The CPU's name, such as `AMD EPYC 7B13`; its architecture where the system tells no name."""
    return _cpu_fact("model name") or platform.processor() or platform.machine()


def has_avx2() -> bool:
    """Whether the CPU has the instructions that portable arithmetic is made of."""
    return {"avx2", "fma"} <= set(_cpu_fact("flags").split())


def gpu_models() -> list[str]:
    """Names of the NVIDIA GPUs, each once, sorted; only Linux tells."""
    told = "\n".join(file.read_text(encoding="utf-8") for file in NVIDIA.glob("*/information"))
    lines = told.splitlines()
    return sorted({line.partition(":")[2].strip() for line in lines if line.startswith("Model:")})


def _cpu_fact(key: str) -> str:
    if sys.platform == "linux":
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""
