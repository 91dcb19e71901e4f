"""Seconds, peak memory and arithmetic of one step, and what the machine can do at most."""

import ctypes
import gc
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.systems.loss import Loss
from pipeline.training.data import Dialogue, collate

Result = TypeVar("Result")
SIDE = 2048
"""Of the matrices whose product shows the machine's peak."""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and seconds of all cores together: other programs raise the first."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.cpu + other.cpu)

    def __mul__(self, factor: float) -> "Cost":
        return Cost(self.wall * factor, self.cpu * factor)


def cost(work: Callable[[], Result]) -> tuple[Cost, Result]:
    """What it takes to do that once, and what comes of it; processes that end meanwhile count."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    result = work()
    return Cost(time.perf_counter() - wall, _cpu_seconds() - cpu), result


def _cpu_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def median(costs: Sequence[Cost]) -> Cost:
    """Of each kind of seconds."""
    return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))


def with_peak_memory(work: Callable[[], Result]) -> tuple[Result, float | None]:
    """What comes of it, and the MB of resident memory that it took at most; Linux only.

    Freed memory that the allocator keeps would hide what is taken: it is given back first.
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return work(), None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    reset.write_text("5")  # the peak starts anew from here
    before = _status_mb(status, "VmRSS")
    result = work()
    return result, _status_mb(status, "VmHWM") - before


def _status_mb(status: Path, field: str) -> float:
    line = next(row for row in status.read_text().splitlines() if row.startswith(field))
    return int(line.split()[1]) / 1024


def product() -> None:
    """A product of two large matrices, 2 * SIDE ** 3 operations: as fast as the machine can."""
    factor = torch.ones(SIDE, SIDE)
    torch.mm(factor, factor)


def operations(model: nn.Module, loss: Loss, dialogues: Sequence[Dialogue]) -> int:
    """Operations of a step's products and convolutions, forward and backward, without padding.

    Dialogues are taken one by one, so no padding is counted; neither are elementwise operations,
    the contrastive loss between dialogues, and the optimiser.
    """
    with FlopCounterMode(display=False) as counter:
        for dialogue in dialogues:
            batch = collate([dialogue])
            loss(model(batch), batch).total.backward()
    model.zero_grad()
    return int(counter.get_total_flops())
