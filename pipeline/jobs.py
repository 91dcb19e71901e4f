"""Running work in threads and getting results in order, with bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4


def workers() -> int:
    """CPU cores this process may use; how many there are changes no number."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Like `map`, in threads and a few items ahead; decoders and openSMILE release the lock.

    Args:
        work: What to do to an item, safe to run in several threads.
        items: Taken one by one as room becomes free.

    Yields:
        Results in the order of the items.
    """
    threads = workers()
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
