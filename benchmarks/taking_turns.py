"""Ways to do one job, timed in turns in one process, and how many times as fast ours is.

A busy machine slows all ways alike when they take turns, so the ratios hold where the seconds do
not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Cost, cost, median

CONSOLE = Console(width=150)


@dataclass(frozen=True)
class Way:
    """A way to do a job.

    Attributes:
        name: As printed.
        run: Does the job, or a part of it; None where this machine lacks what it needs.
        share: By how much to multiply its cost where it does a part.
        goal: How many times as fast as this ours is meant to be.
    """

    name: str
    run: Callable[[], Any] | None
    share: float = 1.0
    goal: float | None = None


def timed(ways: Sequence[Way], rounds: int) -> list[Cost | None]:
    """What each way costs: the median of the rounds; the first way is warmed up."""
    ways[0].run()
    found: list[list[Cost]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, costs in zip(ways, found, strict=True):
            if way.run is not None:
                costs.append(cost(way.run)[0] * way.share)
    return [median(costs) if costs else None for costs in found]


def compare(title: str, unit: str, units: int, ways: Sequence[Way], rounds: int) -> Table:
    """Times the ways, ours first, and makes their table.

    Args:
        title: Of the table.
        unit: What costs are given per.
        units: How many of them the job has.
        ways: Ours, then the others.
        rounds: Of which the median counts.
    """
    costs = timed(ways, rounds)
    columns = (f"wall ms / {unit}", f"CPU ms / {unit}", "it / ours, wall", "CPU", "goal", "")
    table = Table("way", *columns, title=f"{title} (medians of {rounds} rounds in turns)")
    ours = costs[0]
    assert ours is not None
    for way, found in zip(ways, costs, strict=True):
        if found is None:
            table.add_row(way.name, *["absent here"] * 2, *["-"] * 4)
            continue
        ratios = found.wall / ours.wall, found.cpu / ours.cpu
        each = (f"{1000 * seconds / units:.1f}" for seconds in (found.wall, found.cpu))
        table.add_row(way.name, *each, *(f"{r:.2f}" for r in ratios), *verdict(ratios[1], way.goal))
    return table


def verdict(ratio: float, goal: float | None, most: bool = False) -> tuple[str, str]:
    """The goal as printed, and whether a ratio meets it.

    Args:
        ratio: Measured.
        goal: None where there is none.
        most: Whether the goal is the most it may be; else the least.
    """
    if goal is None:
        return "", ""
    met = ratio <= goal if most else ratio >= goal
    return f"{'<=' if most else '>='} {goal:g}", "met" if met else "not met"
