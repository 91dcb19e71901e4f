"""One progress display for every long loop: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15.0


class RateColumn(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """The rate as text."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "-/s")


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yields `items`, showing how far along the loop is, its rate and the time left.

    Args:
        items: What to loop over.
        label: What is being done, for example `audio demo_meld`.
        total: How many items there are.
    """
    if sys.stderr.isatty():
        yield from _bar(items, label, total)
    else:
        yield from _lines(items, label, total)


def _bar(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=total, description=label)


def _lines(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate
            print(f"{label}: {done}/{total}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr)
