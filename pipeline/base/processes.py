"""Work in processes of their own, which a broken file may crash or hang."""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker, util
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.workers import AHEAD, workers

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
LONGEST = 70  # bytes of a folder for sockets
SHORT = ("/tmp", "/var/tmp", "/dev/shm")
# How much longer than the first try the second one may take.
LONGER = 2.0
HUNG = "hung"


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


def forked(preload: Iterable[str]) -> ForkServerContext | SpawnContext:
    """A context whose processes are copies of one that did nothing but import `preload`.

    So that is imported once for all of them. Where processes cannot be copied, each imports.
    """
    if os.name != "posix":
        return multiprocessing.get_context("spawn")
    place_sockets()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload, "__main__"])
    return context


@dataclass
class _Started(Generic[L, T]):
    """An item under way, its label, and the futures of its tries."""

    label: L
    item: T | None
    first: Any = None
    second: Any = None


class _Window(Generic[L, T]):
    """Items under way, in order; `schedule` starts a try that may take a multiple of its time."""

    def __init__(self, schedule: Callable[[T, float], Any]) -> None:
        self._schedule, self._lock = schedule, threading.Lock()
        self._items: deque[_Started[L, T]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, label: L, item: T | None) -> None:
        """Start an item; None has nothing to do."""
        one = _Started(label, item)
        self._items.append(one)
        if item is not None:
            one.first = self._schedule(item, 1.0)
            # At once and beside the others, lest one that hangs stops them all.
            one.first.add_done_callback(lambda _: self._again_if_hung(one))

    def first_done(self) -> tuple[L, Any]:
        """Wait for the first item, and take it out: its label, and its result or a MediaError."""
        one = self._items.popleft()
        if one.item is not None and _problem(one.first):
            if not _is_hung(one.first):
                self._wait_for_others()  # memory may have been too full: now with nothing beside it
            self._again(one)
        return one.label, _result(one)

    def _again(self, one: _Started[L, T]) -> None:
        assert one.item is not None
        with self._lock:
            one.second = one.second or self._schedule(one.item, LONGER)

    def _again_if_hung(self, one: _Started[L, T]) -> None:
        with suppress(RuntimeError):  # the pool was stopped
            if _is_hung(one.first):
                self._again(one)

    def _wait_for_others(self) -> None:
        """Until all have ended, the second tries too of those that hang meanwhile."""
        while True:
            for one in self._items:
                if one.first and one.first.done() and _is_hung(one.first):
                    self._again(one)
            tries = [t for one in self._items for t in (one.first, one.second) if t is not None]
            if all(one.done() for one in tries):
                return
            futures.wait(tries)


class Processes(Generic[T, R]):
    """The processes of a `workers.Isolation`."""

    def __init__(self, work: Callable[[T], R], preload: tuple[str, ...]) -> None:
        self._count = workers()
        self._pool = ProcessPool(
            max_workers=self._count, context=forked(preload), initializer=_adopt, initargs=(work,)
        )

    def results(
        self,
        items: Iterable[tuple[L, T | None]],
        patience: Callable[[T], float],
        ahead: int | None,
    ) -> Iterator[tuple[L, R | MediaError | None]]:
        """As `workers.Isolation`."""

        def schedule(item: T, times: float) -> Any:
            with deaf_to_interrupts():  # the first item starts the processes
                return self._pool.schedule(_do, args=(item,), timeout=times * patience(item))

        window = _Window[L, T](schedule)
        for label, item in items:
            window.add(label, item)
            if len(window) > (ahead or self._count * AHEAD):
                yield window.first_done()
        while window:
            yield window.first_done()

    @property
    def usable(self) -> bool:
        """Whether they take items: not once one of them died while there was nothing to do."""
        return bool(self._pool.active)

    def stop(self) -> None:
        """End all of them."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _result(one: _Started[L, T]) -> Any:
    """What came of an item, or a MediaError; waits for its end."""
    if one.item is None:
        return None
    if (first := _problem(one.first)) is None:
        return one.first.result()
    if (second := _problem(one.second)) is None:
        return one.second.result()
    how = "again" if first[0] == HUNG else "alone"
    return MediaError(second[0], f"tried {how}, {second[1]}; tried before, {first[1]}")


def _is_hung(done: Any) -> bool:
    """Whether a future that is done is that of an item which took too long."""
    problem = None if done.cancelled() else _problem(done)
    return problem is not None and problem[0] == HUNG


def _problem(future: Any) -> tuple[str, str] | None:
    """Kind and detail of what befell the process of an item; waits for its end."""
    error = future.exception()
    if isinstance(error, ProcessExpired):
        code = error.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return "crashed", f"its process died ({how})"
    # Pebble's has words where the system's (a network disk's) has its number, or nothing.
    if isinstance(error, TimeoutError) and isinstance(error.errno, str):
        return HUNG, f"it was not done after {error.args[1]:.0f} s"
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
