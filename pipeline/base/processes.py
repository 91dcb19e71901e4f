"""Work in processes of their own, which a broken file may crash or hang."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from pipeline.base.errors import MediaError
from pipeline.base.workers import AHEAD, workers

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
TRIES = 2


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


@dataclass
class _Job(Generic[L, T]):
    label: L
    item: T | None
    future: Any
    failures: int = 0


def run_isolated(
    work: Callable[[T], R],
    items: Iterable[tuple[L, T | None]],
    patience: Callable[[T], float],
    preload: tuple[str, ...],
) -> Iterator[tuple[L, R | MediaError | None]]:
    """Start the processes at once, and end them with this iterator; else as `workers.isolated`."""
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
            problem = MediaError("crashed", f"its process died {TRIES} times ({_ended(error)})")
        except TimeoutError as error:
            problem = MediaError("hung", f"not done after {error.args[1]:.0f} s, {TRIES} times")
        job.failures += 1
        if job.failures >= TRIES:
            return problem
        job.future = start(job.item)
    return None


def _ended(error: ProcessExpired) -> str:
    code = error.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


_work: Callable[[Any], Any] | None = None


def _adopt(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    end_with_parent()


def end_with_parent() -> None:
    """End this process from now on, a hung one too, when the one that started it was killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)
