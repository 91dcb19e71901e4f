"""One progress display for every long loop: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from pipeline.base.display import say, terminal

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15.0


@dataclass
class Loop:
    """How far along a loop is.

    The rate counts from the first item that is done here, so that neither an interrupted run's
    items nor the start of processes enter it.
    """

    total: int
    done: int
    show: Callable[["Loop"], None]
    note: str = ""  # where the last item stands, in words
    _first: tuple[int, float] | None = field(default=None, init=False)

    def advance(self, note: str = "", total: int | None = None, count: int = 1) -> None:
        """Counts an item, or several, and shows it, with the number of all if that has changed."""
        self.done, self.note = self.done + count, note
        self.total = self.total if total is None else total
        self._first = self._first or (self.done, time.monotonic())
        self.show(self)

    def __str__(self) -> str:
        parts = [f"{self.done}/{self.total}", *([self.note] if self.note else [])]
        before, start = self._first or (self.done, 0.0)
        if self.done > before:
            seconds = (time.monotonic() - start) / (self.done - before)
            rate = f"{1 / seconds:.1f}/s" if 0 < seconds <= 1 else f"{seconds:.1f} s each"
            left = timedelta(seconds=round(seconds * (self.total - self.done)))
            parts += [rate, f"{left} left"]
        return ", ".join(parts)


@contextmanager
def progress(label: str, total: int, done: int = 0) -> Iterator[Loop]:
    """Show a loop while the block runs, which calls `advance` after each item.

    The label is such as `audio demo_meld`; `done` items were done by an interrupted run.
    """
    if not sys.stderr.isatty():
        yield Loop(total, done, _Lines(label))
        return
    # Here, as a stage that DVC runs without a terminal draws nothing.
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(12),
        TextColumn("{task.fields[text]}", markup=False, table_column=Column(overflow="fold")),
    )
    with Progress(*columns, console=terminal(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=done, text=f"{done}/{total}")
        yield Loop(
            total,
            done,
            lambda loop: bar.update(task, total=loop.total, completed=loop.done, text=str(loop)),
        )


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield `items`, showing how far along the loop is, its rate and the time left."""
    with progress(label, total) as loop:
        for item in items:
            yield item
            loop.advance()


class _Lines:
    """Prints a loop as a line now and then."""

    def __init__(self, label: str) -> None:
        self._label, self._last = label, time.monotonic()

    def __call__(self, loop: Loop) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES and loop.done < loop.total:
            self._last = now
            say(f"{self._label}: {loop}", error=True)
