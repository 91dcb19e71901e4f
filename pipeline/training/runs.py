"""Runs one after another or in several processes: what a run finds depends on the run alone."""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from operator import itemgetter
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.stage import no_room
from pipeline.training.data import TrainingData, TrainingSettings, read_data
from pipeline.training.fit import Run
from pipeline.training.resume import RunState, StateFile


@dataclass(frozen=True)
class Runs:
    """The runs of a corpus.

    Attributes:
        names: Fold and seed of each, those of a fold together.
        folder: Where they are kept while they last, and when they have ended.
    """

    names: Sequence[tuple[int, int]]
    folder: Path

    def file(self, fold: int, seed: int) -> StateFile[RunState]:
        """Where one run is kept."""
        return StateFile(self.folder / f"fold{fold}-seed{seed}.pt", RunState)

    def by_fold(self) -> Iterator[tuple[int, list[int]]]:
        """Each fold with its seeds."""
        for fold, names in groupby(self.names, itemgetter(0)):
            yield fold, [seed for _, seed in names]

    def share(self, number: int, of: int) -> "Runs":
        """What one of several processes does."""
        return Runs(self.names[number::of], self.folder)


def in_turn(data: TrainingData, runs: Runs) -> Iterator[None]:
    """Trains all runs in this process; yields after each epoch."""
    for fold, seeds in runs.by_fold():
        task = data.task(fold)
        for seed in seeds:
            for _ in Run(task, seed).epochs(runs.file(fold, seed)):
                yield


def in_processes(
    corpus: str, settings: TrainingSettings, runs: Runs, workers: int
) -> Iterator[None]:
    """Trains all runs in several processes, each of which reads the corpus; yields per epoch.

    Args:
        corpus: Which.
        settings: As in params.yaml.
        runs: What is to be trained.
        workers: How many processes.

    Raises:
        PipelineError: What a process met, or that it was killed.
    """
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, BaseProcess] = {}
    for number in range(min(workers, len(runs.names))):
        reader, writer = context.Pipe(duplex=False)
        share = runs.share(number, workers)
        process = context.Process(target=_work, args=(corpus, settings, share, writer))
        process.start()
        writer.close()  # the process holds the other copy: when it ends, the reader sees it
        processes[reader] = process
    try:
        yield from _messages(dict(processes))
    finally:
        for started in processes.values():
            started.terminate()
            started.join()


def _messages(processes: dict[Connection, BaseProcess]) -> Iterator[None]:
    """Yields for each epoch that a process tells of, until all processes have ended."""
    while processes:
        ready = wait(list(processes))
        for reader in [r for r in processes if r in ready]:
            try:
                problem = reader.recv()
            except EOFError:
                _check_end(processes.pop(reader))
                continue
            if problem is not None:
                raise PipelineError(problem)
            yield


def _check_end(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise PipelineError(
            f"A training process ended with code {process.exitcode}; too little memory is the "
            "usual reason. Lower train.workers or batch_size and run again: it goes on where it "
            "was."
        )


def _work(corpus: str, settings: TrainingSettings, runs: Runs, writer: Connection) -> None:
    """What a process does: tells of each epoch with None, of a problem with its words."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends this one
    try:
        for _ in in_turn(read_data(corpus, settings), runs):
            writer.send(None)
    except BrokenPipeError:
        pass  # the parent was killed; the run lies in its file
    except PipelineError as error:
        writer.send(str(error))
    except RuntimeError as error:
        if (said := no_room(error, "train")) is None:
            raise
        writer.send(said)
