"""Train runs, in this process or in several.

Each trains by itself, so results depend neither on the number of processes nor on other runs.
"""

import multiprocessing
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from operator import attrgetter

from pipeline.base.errors import PipelineError
from pipeline.base.processes import deaf_to_interrupts, end_with_parent
from pipeline.base.stage import in_words
from pipeline.features.common.device import refuse_nondeterminism
from pipeline.training.fit import Run
from pipeline.training.kept import KeptRun, kept_runs
from pipeline.training.learner import DialogueLearner
from pipeline.training.reading import Training, TrainingData, read_data
from pipeline.training.scores import DivergedError


@dataclass(frozen=True)
class Job:
    """A run, and of what training it is one."""

    training: Training
    run: KeptRun


@dataclass(frozen=True)
class Epoch:
    """An epoch that a run has just done.

    Attributes:
        run: Which run.
        history: The rows of the run so far.
        last: Whether the run has ended with it.
        diverged: Why it cannot go on, in words, if its loss was NaN or infinite; else "".
    """

    run: KeptRun
    history: list[dict[str, float]]
    last: bool
    diverged: str = ""


def in_turn(data: TrainingData, runs: Iterable[KeptRun]) -> Generator[Epoch, None, None]:
    """Train runs in this process, those of a fold together."""
    if data.training.compute.deterministic:
        refuse_nondeterminism()  # here: torch takes a second, which a cached run need not wait for
    limits = data.training.limits
    for number, of_fold in groupby(runs, attrgetter("fold")):
        fold = data.fold(number)
        for run in of_fold:
            history: list[dict[str, float]] = []
            try:
                for state in Run(DialogueLearner(fold, run.seed)).go(run.file):
                    history = list(state.history)
                    yield Epoch(run, history, state.finished(limits))
            except DivergedError as error:
                yield Epoch(run, history, last=True, diverged=str(error))


def in_processes(jobs: Sequence[Job], workers: int) -> Generator[Epoch, None, None]:
    """Train runs in several processes, each of which takes run after run.

    A process reads a corpus when it takes the first of a training's runs, so those lie together.

    A pipe to each, not a pool: epochs are reported as they end, the death of a process is seen at
    once, and none outlives this one.

    Raises:
        PipelineError: One that a process raised, or a process was killed.
    """
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, SpawnProcess] = {}
    try:
        with deaf_to_interrupts():
            for _ in range(min(workers, len(jobs))):
                here, there = context.Pipe()
                process = context.Process(target=_work, args=(there,), daemon=True)
                process.start()
                processes[here] = process
                there.close()  # the process holds the other copy: when it ends, `here` sees it
        yield from _epochs(dict(processes), deque(jobs))
    finally:
        for process in processes.values():
            process.terminate()
            process.join()


def _epochs(processes: dict[Connection, SpawnProcess], waiting: deque[Job]) -> Iterator[Epoch]:
    """Deal out runs and yield epochs until all processes have ended."""
    while processes:
        for here in wait(list(processes)):
            assert isinstance(here, Connection)
            try:
                message = here.recv()
                if message is None:
                    here.send(waiting.popleft() if waiting else None)
            except (EOFError, ConnectionError):
                _check_end(processes.pop(here))
                continue
            if isinstance(message, str):
                raise PipelineError(message)
            if message is not None:
                yield message


def _check_end(process: SpawnProcess) -> None:
    process.join()
    if process.exitcode:
        raise PipelineError(
            f"A training process was ended by signal {-process.exitcode}; too little memory is the "
            "usual reason. Lower CORPUS.SYSTEM.workers or batch_size and run again: it resumes."
            if process.exitcode < 0
            else f"A training process ended with code {process.exitcode}; its error stands above."
        )


def _work(parent: Connection) -> None:
    """Train runs in a process: send each epoch, None to ask for a run, an error as its text."""
    end_with_parent()
    try:
        for training, jobs in groupby(_asked_for(parent), attrgetter("training")):
            data = read_data(training)
            for epoch in in_turn(data, _of_the_same_files(data, jobs)):
                parent.send(epoch)
    except (EOFError, ConnectionError):
        pass  # the parent was killed; the run lies in its file
    except PipelineError as error:
        parent.send(str(error))
    except (OSError, RuntimeError) as error:
        if (text := in_words(error, "train")) is None:
            raise
        parent.send(text)


def _of_the_same_files(data: TrainingData, jobs: Iterable[Job]) -> Iterator[KeptRun]:
    """Runs, whose places in the cache are those of the files that this process has read.

    Raises:
        PipelineError: The files were others when a run was dealt out.
    """
    here = kept_runs(data)
    for job in jobs:
        if job.run not in here:
            raise PipelineError(
                f"The data of {data.training.corpus} changed while it was trained on; nothing of "
                "the new data was kept. Run this again."
            )
        yield job.run


def _asked_for(parent: Connection) -> Iterator[Job]:
    """Runs, each asked for when the last one has ended."""
    while True:
        parent.send(None)
        if (job := parent.recv()) is None:
            return
        yield job
