"""Work beside the main thread, with results in order and bounded memory.

`ordered_map` uses threads: for libraries that release the lock and that nothing can crash.
`isolated` uses processes: for decoders, which a broken file can crash or hang.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

from pipeline.base.errors import MediaError

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4  # items under way for each thread or process
PATIENCE = "ERC_PATIENCE"
# Seconds that a file may take at least, and for each of its own: 20 times slower than it plays.
LEAST_PATIENCE, PATIENCE_PER_SECOND = 120.0, 20.0


def workers() -> int:
    """CPU cores this process may use; how many there are changes no number."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def isolated(
    work: Callable[[T], R],
    items: Iterable[tuple[L, T | None]],
    patience: Callable[[T], float] = lambda _: patience_for(0.0),
    preload: tuple[str, ...] = (),
) -> Iterator[tuple[L, R | MediaError | None]]:
    """Run items in processes of their own, which an item may crash or hang.

    An item whose process dies or lacks memory, or that takes longer than its patience in seconds,
    is tried once more, alone and with twice the patience; if that fails too, a MediaError stands in
    its place and the rest goes on. Processes start with the first item, so nothing is started where
    there is none, and end with this iterator, however it ends.

    `work` is a function of a module, or an object that can be pickled: each process gets one copy
    of it and keeps it, so it may hold what is costly to make. Items, each after its label, are
    taken one by one as room becomes free; None is passed by. Processes find `preload` imported.

    Yields:
        Labels in order, each with its result: None where there was nothing to do, `crashed`,
        `hung` or `no_memory` for an item that failed twice.
    """
    rest = iter(items)
    for label, item in rest:
        if item is not None:
            # Here, so that a run that finds everything in the cache does not import it.
            from pipeline.base.processes import run_isolated

            yield from run_isolated(work, chain([(label, item)], rest), patience, preload)
            return
        yield label, None
