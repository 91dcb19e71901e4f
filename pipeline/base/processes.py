"""Work in processes of their own, which a broken file may crash or hang."""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from multiprocessing import resource_tracker, util
from multiprocessing.connection import wait
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.workers import AHEAD, workers

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
LONGEST = 70  # bytes of a folder for sockets
SHORT = ("/tmp", "/var/tmp", "/dev/shm")
# How much longer than the first try the second one, alone, may take.
LONGER = 2.0


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


def place_sockets() -> None:
    """Have the forkserver's socket in a short folder, whatever TMPDIR is.

    The system takes at most 104 to 108 bytes as the name of a socket, 32 of which are Python's.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST:
        return
    before = tempfile.tempdir
    tempfile.tempdir = next((d for d in SHORT if os.access(d, os.W_OK | os.X_OK)), None)
    try:
        if tempfile.tempdir is None:
            raise PipelineError(f"TMPDIR is too long for a socket: {before}; set a shorter one.")
        util.get_temp_dir()  # which makes it, and keeps it for this process
    finally:
        tempfile.tempdir = before


def run_isolated(
    work: Callable[[T], R],
    items: Iterable[tuple[L, T | None]],
    patience: Callable[[T], float],
    preload: tuple[str, ...],
) -> Iterator[tuple[L, R | MediaError | None]]:
    """Start the processes at once, and end them with this iterator; else as `workers.isolated`."""
    place_sockets()
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload([*preload, "__main__"])
    pool = ProcessPool(max_workers=workers(), context=context, initializer=_adopt, initargs=(work,))
    waiting: deque[tuple[L, T | None, Any]] = deque()

    def start(item: T, times: float = 1.0) -> Any:
        with deaf_to_interrupts():  # the first item starts the processes
            return pool.schedule(_do, args=(item,), timeout=times * patience(item))

    def first_done() -> tuple[L, R | MediaError | None]:
        label, item, future = waiting.popleft()
        if item is None:
            return label, None
        if (first := _problem(future)) is None:
            return label, future.result()
        # The machine may have been too busy, or its memory too full: now with nothing beside it.
        futures.wait([other for _, _, other in waiting if other is not None])
        future = start(item, LONGER)
        if (second := _problem(future)) is None:
            return label, future.result()
        kind, detail = second
        return label, MediaError(kind, f"tried alone, {detail}; tried before, {first[1]}")

    try:
        for label, item in items:
            waiting.append((label, item, None if item is None else start(item)))
            if len(waiting) > workers() * AHEAD:
                yield first_done()
        while waiting:
            yield first_done()
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _problem(future: Any) -> tuple[str, str] | None:
    """Kind and detail of what befell the process of an item; waits for its end."""
    error = future.exception()
    if isinstance(error, ProcessExpired):
        code = error.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return "crashed", f"its process died ({how})"
    # Pebble's has words where the system's (a network disk's) has its number, or nothing.
    if isinstance(error, TimeoutError) and isinstance(error.errno, str):
        return "hung", f"it was not done after {error.args[1]:.0f} s"
    if isinstance(error, MemoryError):
        return "no_memory", "its process had too little memory"
    return None


_work: Callable[[Any], Any] | None = None


def _adopt(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    end_with_parent()


def end_with_parent() -> None:
    """End this process from now on, a hung one too, when the one that started it was killed."""

    def wait_for_parent() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()


def _do(item: Any) -> Any:
    assert _work is not None
    try:
        return _work(item)
    except MemoryError as error:  # of NumPy, FFmpeg or Python, which not all can be pickled
        raise MemoryError(str(error)) from None
