"""Rendering in several processes; what a job writes depends on the job alone."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

from pipeline.base.progress import track

Job = TypeVar("Job")


def run_jobs(work: Callable[[Job], None], jobs: Sequence[Job], workers: int, what: str) -> None:
    """Does every job, with a progress bar.

    With more than one worker the processes are spawned, so a script that calls this needs the
    usual `if __name__ == "__main__"` guard.

    Args:
        work: A function of a module, so that other processes find it.
        jobs: Its arguments.
        workers: Processes.
        what: Name of the progress bar.
    """
    for _ in track(_done(work, jobs, workers), what, len(jobs)):
        pass


def _done(work: Callable[[Job], None], jobs: Sequence[Job], workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    # Few large jobs go out one by one, so that no process is left with two at the end.
    chunk = min(4, max(1, len(jobs) // (8 * workers)))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(work, jobs, chunksize=chunk)


def _one_thread() -> None:
    """The processes share the cores between them."""
    cv2.setNumThreads(1)
