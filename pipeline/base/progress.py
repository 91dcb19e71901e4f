"""One progress display for every long loop: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15.0


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
    # Here, as a stage that DVC runs without a terminal draws nothing.
    from rich import progress as show
    from rich.console import Console
    from rich.text import Text

    class Rate(show.TaskProgressColumn):
        def render(self, task: show.Task) -> Text:
            return self.render_speed(task.speed)

    columns = (
        show.TextColumn("{task.description}"),
        show.BarColumn(),
        show.MofNCompleteColumn(),
        Rate(),
        show.TimeRemainingColumn(),
    )
    with show.Progress(*columns, console=Console(stderr=True)) as progress:
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
