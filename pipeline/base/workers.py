"""Work beside the main thread, with results in order and bounded memory.

`ordered_map` uses threads: for libraries that release the lock and that nothing can crash.
`Isolation` uses processes: for decoders, which a broken file can crash or hang.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pipeline.base.errors import MediaError, PipelineError

if TYPE_CHECKING:
    from pipeline.base.processes import Processes

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4  # items under way for each thread or process
# Items under way whose results are small: while one of them hangs, so many others go on.
MANY = 4096
PATIENCE = "ERC_PATIENCE"
WORKERS = "ERC_WORKERS"
# What a container may use of the machine's cores: microseconds of them, in so many by the clock.
QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Seconds that a file may take at least, and for each of its own: 20 times slower than it plays.
LEAST_PATIENCE, PATIENCE_PER_SECOND = 120.0, 20.0


def workers() -> int:
    """CPU cores this process may use; how many there are changes no number.

    The environment variable ERC_WORKERS lowers it, as does a container's quota.

    Raises:
        PipelineError: ERC_WORKERS is no number of cores.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [here, *_quota()]
    if given := os.environ.get(WORKERS):
        if not given.isdecimal() or int(given) < 1:
            raise PipelineError(f"{WORKERS}: got {given!r}, expected a number of CPU cores, from 1")
        limits.append(int(given))
    return min(limits)


def _quota() -> Iterator[int]:
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        yield max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or `max`: no quota
        return


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], ahead: int | None = None
) -> Iterator[R]:
    """Like `map`, in threads and a few items (`ahead`, or a few per thread) ahead, in order."""
    threads = workers()
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > (ahead or threads * AHEAD):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def patience_for(seconds: float) -> float:
    """Seconds that reading `seconds` of media may take before it counts as hung.

    The environment variable ERC_PATIENCE replaces the part that does not depend on the length.
    """
    least = float(os.environ.get(PATIENCE) or LEAST_PATIENCE)
    return least + PATIENCE_PER_SECOND * seconds


class Isolation(Generic[T, R]):
    """Processes in which `work` runs, which an item may crash or hang.

    An item whose process dies or lacks memory is tried once more, alone; one that takes longer than
    its patience in seconds once more, beside the others; both with twice the patience. If that
    fails too, a MediaError stands in its place and the rest goes on. Processes start with the first
    item, so nothing is started where there is none, and stay until `close`.

    `work` is a function of a module, or an object that can be pickled: each process gets one copy
    of it and keeps it, so it may hold what is costly to make. Processes find `preload` imported.
    """

    def __init__(self, work: Callable[[T], R], preload: tuple[str, ...] = ()) -> None:
        self._work, self._preload = work, preload
        self._processes: Processes[T, R] | None = None

    def results(
        self,
        items: Iterable[tuple[L, T | None]],
        patience: Callable[[T], float] = lambda _: patience_for(0.0),
        ahead: int | None = None,
    ) -> Iterator[tuple[L, R | MediaError | None]]:
        """Run items, which are taken one by one as room becomes free; None is passed by.

        Args:
            items: Each after its label.
            patience: Seconds that an item may take.
            ahead: Items under way, whose results wait here for those before them; a few for each
                process where results may be large.

        Yields:
            Labels in order, each with its result: None where there was nothing to do, `crashed`,
            `hung` or `no_memory` for an item that failed twice.
        """
        rest = iter(items)
        for label, item in rest:
            if item is not None:
                if self._processes is None or not self._processes.usable:
                    self.close()
                    # Here, so that a run that finds everything in the cache does not import it.
                    from pipeline.base.processes import Processes

                    self._processes = Processes(self._work, self._preload)
                yield from self._processes.results(chain([(label, item)], rest), patience, ahead)
                return
            yield label, None

    def close(self) -> None:
        """End the processes; another item would start new ones."""
        if self._processes is not None:
            self._processes.stop()
        self._processes = None


def isolated(
    work: Callable[[T], R],
    items: Iterable[tuple[L, T | None]],
    patience: Callable[[T], float] = lambda _: patience_for(0.0),
    preload: tuple[str, ...] = (),
    ahead: int | None = None,
) -> Iterator[tuple[L, R | MediaError | None]]:
    """The `results` of an `Isolation` that ends with this iterator, however it ends."""
    with closing(Isolation(work, preload)) as isolation:
        yield from isolation.results(items, patience, ahead)
