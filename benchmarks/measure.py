"""Cost of work: ways of one job timed in turns, and peak memory.

A busy machine slows all ways alike when they take turns, so the ratios hold where seconds do not.
"""

import ctypes
import gc
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=150)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and CPU seconds of all cores; a busy machine raises the first."""

    wall: float = 0.0
    cpu: float = 0.0

    def __mul__(self, factor: float) -> "Cost":
        return Cost(self.wall * factor, self.cpu * factor)

    def times(self, other: "Cost") -> tuple[str, str]:
        """How many times as fast as `other`, by the clock and by CPU seconds, for a table."""
        return f"{other.wall / self.wall:.2f}", f"{other.cpu / self.cpu:.2f}"


def cost(work: Callable[[], Result]) -> tuple[Cost, Result]:
    """Cost and result of one call; child processes that end meanwhile count."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    result = work()
    return Cost(time.perf_counter() - wall, _cpu_seconds() - cpu), result


def _cpu_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def median(costs: Sequence[Cost]) -> Cost:
    """The medians of both kinds of seconds."""
    return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))


@dataclass(frozen=True)
class Way:
    """One way to do a job.

    Attributes:
        name: As printed.
        run: Does the job or a part of it; None where this machine lacks what it needs.
        share: Factor from the cost of that part to the cost of the job.
        goal: How many times as fast as this way ours is meant to be.
    """

    name: str
    run: Callable[[], Any] | None
    share: float = 1.0
    goal: float | None = None


def compare(title: str, unit: str, units: int, ways: Sequence[Way], rounds: int) -> Table:
    """Times the ways in turns and tabulates the medians; the first way is ours.

    Args:
        title: Printed above the table.
        unit: What one piece of the job is called, such as `clip`.
        units: Number of pieces in the job.
        ways: Ours, warmed up by one more run, then the others.
        rounds: Number of turns.
    """
    assert ways[0].run is not None
    ways[0].run()
    costs: list[list[Cost]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, own in zip(ways, costs, strict=True):
            if way.run is not None:
                own.append(cost(way.run)[0] * way.share)
    columns = (f"wall ms / {unit}", f"CPU ms / {unit}", "it / ours, wall", "CPU", "goal", "")
    table = Table("way", *columns, title=f"{title} (medians of {rounds} rounds in turns)")
    ours = median(costs[0])
    for way, own in zip(ways, costs, strict=True):
        if not own:
            table.add_row(way.name, *["absent here"] * 2, *["-"] * 4)
            continue
        taken = median(own)
        each = (f"{1000 * seconds / units:.1f}" for seconds in (taken.wall, taken.cpu))
        goal = verdict(taken.cpu / ours.cpu, way.goal)
        table.add_row(way.name, *each, *ours.times(taken), *goal)
    return table


def verdict(ratio: float, goal: float | None, most: bool = False) -> tuple[str, str]:
    """A goal as printed and whether a ratio meets it; two empty texts where there is no goal.

    Args:
        ratio: The measured figure.
        goal: Its least value.
        most: Whether `goal` is its greatest value instead.
    """
    if goal is None:
        return "", ""
    met = ratio <= goal if most else ratio >= goal
    return f"{'<=' if most else '>='} {goal:g}", "met" if met else "not met"


def with_peak_memory(work: Callable[[], Result]) -> tuple[Result, float]:
    """Result of a call, and the MB of resident memory it added at most; NaN where not on Linux.

    Freed memory that the allocator keeps would hide what is taken: it is given back first.
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return work(), float("nan")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    reset.write_text("5")  # restarts the peak from here
    before = _status_mb(status, "VmRSS")
    result = work()
    return result, _status_mb(status, "VmHWM") - before


def _status_mb(status: Path, field: str) -> float:
    line = next(row for row in status.read_text().splitlines() if row.startswith(field))
    return int(line.split()[1]) / 1024
