"""Work in processes of this machine, each of which takes item after item."""

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from pipeline.base.errors import PipelineError
from pipeline.base.processes import deaf_to_interrupts, end_with_parent, forked
from pipeline.base.stage import in_words, lower
from pipeline.executors.spread import Needs, Work

T = TypeVar("T")
R = TypeVar("R")


def in_processes(work: Work[T, R], items: Sequence[T], needs: Needs) -> Generator[R, None, None]:
    """As `spread`, on this machine.

    A pipe to each, not a pool: results are passed on as they come, the death of a process is seen
    at once, and none outlives this one.
    """
    context = forked((work.__module__, *needs.preload))
    processes: dict[Connection, BaseProcess] = {}
    try:
        with deaf_to_interrupts():
            for _ in range(min(needs.workers, len(items))):
                here, there = context.Pipe()
                told = (there, work, needs.stage, dict(os.environ))
                process: BaseProcess = context.Process(target=_begin, args=told, daemon=True)
                process.start()
                processes[here] = process
                there.close()  # the process holds the other copy: when it ends, `here` sees it
        yield from _results(dict(processes), deque(items), needs.stage)
    finally:
        for process in processes.values():
            process.terminate()
            process.join()


def _results(
    processes: dict[Connection, BaseProcess], waiting: deque[Any], stage: str
) -> Iterator[Any]:
    """Deal out items and yield results until all processes have ended."""
    while processes:
        for here in wait(list(processes)):
            assert isinstance(here, Connection)
            try:
                kind, value = here.recv()
                if kind == "ready":
                    here.send([waiting.popleft()] if waiting else [])
            except (EOFError, ConnectionError):
                _check_end(processes.pop(here), stage)
                continue
            if kind == "error":
                raise PipelineError(value)
            if kind == "result":
                yield value


def _check_end(process: BaseProcess, stage: str) -> None:
    process.join()
    if process.exitcode:
        raise PipelineError(
            f"A process of this stage was ended by signal {-process.exitcode}; too little memory "
            f"is the usual reason{lower(stage)}. Run again: it resumes."
            if process.exitcode < 0
            else f"A process of this stage ended with code {process.exitcode}; its error stands "
            "above."
        )


class _ParentGoneError(Exception):
    """The process that deals out items was killed."""


def _begin(
    parent: Connection, work: Work[Any, Any], stage: str, environment: dict[str, str]
) -> None:
    """Work in a process; the environment of the one it was copied from may be older."""
    os.environ.clear()
    os.environ.update(environment)
    end_with_parent()
    _serve(parent, work, stage)


def _serve(parent: Connection, work: Work[Any, Any], stage: str) -> None:
    """Ask for an item, send each of its results, or an error as its text."""
    try:
        while items := _asked(parent):
            for result in work(items[0]):
                _tell(parent, "result", result)
    except _ParentGoneError:
        pass
    except PipelineError as error:
        _tell(parent, "error", str(error))
    except (OSError, RuntimeError) as error:
        if (text := in_words(error, stage)) is None:
            raise
        _tell(parent, "error", text)


def _asked(parent: Connection) -> list[Any]:
    """The next item, or none."""
    _tell(parent, "ready", None)
    try:
        item: list[Any] = parent.recv()
    except (EOFError, ConnectionError) as error:
        raise _ParentGoneError from error
    return item


def _tell(parent: Connection, kind: str, value: Any) -> None:
    try:
        parent.send((kind, value))
    except (EOFError, ConnectionError) as error:
        raise _ParentGoneError from error
