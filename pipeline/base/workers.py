"""Running work beside the main thread, with results in order and bounded memory.

`ordered_map` uses threads: for libraries that release the lock and that nothing can crash.
`isolated` uses processes: for decoders, which a broken file can crash or hang.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from pipeline.base.errors import MediaError

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
TRIES = 2
PATIENCE = "ERC_PATIENCE"
# Seconds that a file may take at least, and for each of its own: 20 times slower than it plays.
LEAST_PATIENCE, PATIENCE_PER_SECOND = 120.0, 20.0


def workers() -> int:
    """CPU cores this process may use; how many there are changes no number."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    work: Callable[[T], R], items: Iterable[T], ahead: int | None = None
) -> Iterator[R]:
    """Like `map`, in threads and a few items ahead.

    Args:
        work: What to do to an item, safe to run in several threads.
        items: Taken one by one as room becomes free.
        ahead: How many items may wait to be yielded; None for a few per thread.

    Yields:
        Results in the order of the items.
    """
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


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes in this block that never hear Ctrl-C: this one does, and ends them.

    A terminal sends the signal to all of them, also while they still import, where no handler of
    theirs could keep a traceback from the screen. A mask is inherited; here the signal waits until
    the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which takes SIGINT out of the mask when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def patience_for(seconds: float) -> float:
    """Seconds that reading a stretch of media may take before it counts as hung.

    The environment variable ERC_PATIENCE replaces the part that does not depend on its length.

    Args:
        seconds: How long the stretch plays.
    """
    least = float(os.environ.get(PATIENCE) or LEAST_PATIENCE)
    return least + PATIENCE_PER_SECOND * seconds


@dataclass
class _Job(Generic[L, T]):
    label: L
    item: T | None
    future: Any
    failures: int = 0


def isolated_map(
    work: Callable[[T], R],
    items: Iterable[T],
    patience: Callable[[T], float] = lambda _: patience_for(0.0),
    preload: tuple[str, ...] = (),
) -> Iterator[R | MediaError]:
    """Like `map`, in processes of their own, which an item may crash or hang.

    Yields:
        Results in the order of the items, see `isolated`.
    """
    for _, result in isolated(work, ((None, item) for item in items), patience, preload):
        assert result is not None
        yield result


def isolated(
    work: Callable[[T], R],
    items: Iterable[tuple[L, T | None]],
    patience: Callable[[T], float] = lambda _: patience_for(0.0),
    preload: tuple[str, ...] = (),
) -> Iterator[tuple[L, R | MediaError | None]]:
    """Runs items in processes of their own, which an item may crash or hang.

    An item whose process dies, or that takes longer than its patience, is tried once more; if
    that fails too, a MediaError stands in its place and the rest goes on. Processes start with
    the first item, so nothing is started where there is none, and end with this one, however
    it ends.

    Args:
        work: What to do to an item: a function of a module, or an object that can be pickled.
            Each process gets one copy of it and keeps it, so it may hold what is costly to make.
        items: A label and an item each, taken one by one as room becomes free. None as item is
            passed by: there is nothing to do.
        patience: Seconds that an item may take.
        preload: Modules that processes find loaded when they start.

    Yields:
        Labels in order, each with its result: None where there was nothing to do, `crashed` or
        `hung` for an item that failed twice.
    """
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload([*preload, "__main__"])
    pool = ProcessPool(max_workers=workers(), context=context, initializer=_adopt, initargs=(work,))
    waiting: deque[_Job[L, T]] = deque()

    def start(item: T) -> Any:
        with deaf_to_interrupts():  # the first item starts the processes
            return pool.schedule(_do, args=(item,), timeout=patience(item))

    try:
        for label, item in items:
            waiting.append(_Job(label, item, None if item is None else start(item)))
            if len(waiting) > workers() * AHEAD:
                yield waiting[0].label, _result(waiting.popleft(), start)
        while waiting:
            yield waiting[0].label, _result(waiting.popleft(), start)
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _result(job: "_Job[Any, Any]", start: Callable[[Any], Any]) -> Any:
    while job.future is not None:
        try:
            return job.future.result()
        except ProcessExpired as error:
            told = MediaError("crashed", f"its process died {TRIES} times ({_ended(error)})")
        except TimeoutError as error:
            told = MediaError("hung", f"not done after {error.args[1]:.0f} s, {TRIES} times")
        job.failures += 1
        if job.failures >= TRIES:
            return told
        job.future = start(job.item)
    return None


def _ended(error: ProcessExpired) -> str:
    code = error.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


_work: Callable[[Any], Any] | None = None


def _adopt(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process, a hung one too, when the one that started it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)
