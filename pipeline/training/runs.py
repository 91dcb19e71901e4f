"""The runs of a corpus, one per fold and seed: their data, where they are kept, training them.

Each trains by itself, so results depend neither on the number of processes nor on other runs.
"""

import multiprocessing
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.processes import deaf_to_interrupts, end_with_parent
from pipeline.base.settings import ComputeSettings
from pipeline.base.stage import in_words
from pipeline.base.state import StateFile
from pipeline.features.common.device import refuse_nondeterminism, resolve_device, set_threads
from pipeline.records.features import Features, read_features
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import Protocol, read_protocol
from pipeline.systems.base import Shape
from pipeline.training.data import Fold, dialogues
from pipeline.training.fit import Limits, Run, RunState
from pipeline.training.learner import DialogueLearner, limits_of
from pipeline.training.scores import DivergedError


@dataclass(frozen=True)
class Training:
    """What is to be trained: a system on a corpus."""

    corpus: str
    name: str
    """Of the system."""

    settings: Any
    """Of the system; see `Fold`."""

    compute: ComputeSettings

    @property
    def limits(self) -> Limits:
        """How long a run may go on."""
        return limits_of(self.name, self.settings)


@dataclass(frozen=True)
class TrainingData:
    """A corpus, read for training."""

    training: Training
    """`compute.device` is resolved, never `auto`."""

    protocol: Protocol
    """Without test labels."""

    stores: Mapping[str, Features]
    """By modality in use."""

    texts: Mapping[str, str]
    """By utterance."""

    def shape(self, fold: int) -> Shape:
        """What a system's size depends on in one fold."""
        speakers: dict[str, set[str]] = defaultdict(set)
        for entry in self.protocol.entries:
            if entry.fold == fold and entry.split == "train":
                speakers[entry.dialogue].add(entry.speaker)
        return Shape(
            features={m: store.dimension for m, store in self.stores.items()},
            classes=len(self.protocol.classes),
            speakers=max(map(len, speakers.values())),
        )

    def fold(self, number: int) -> Fold:
        """The data of the runs of one fold."""
        training = self.training
        train, valid, test = (
            dialogues(self.protocol.entries, self.stores, self.texts, number, split)
            for split in ("train", "valid", "test")
        )
        return Fold(
            corpus=training.corpus,
            name=training.name,
            settings=training.settings,
            compute=training.compute,
            shape=self.shape(number),
            train=train,
            valid=valid,
            test=test,
        )


def read_data(training: Training) -> TrainingData:
    """Read a corpus, and set threads and the precision of products for this process.

    Raises:
        PipelineError: A store is missing or empty; no such device.
    """
    compute, corpus = training.compute, training.corpus
    set_threads(threads_of(training))
    torch.backends.cudnn.allow_tf32 = False  # by default recurrences round float32 to 10 bits
    compute = compute.model_copy(update={"device": resolve_device(compute.device)})
    return TrainingData(
        training=replace(training, compute=compute),
        protocol=read_protocol(paths.protocol(corpus), labels_of=("train", "valid")),
        stores=_stores(training),
        texts={u.utterance: u.text for u in read_manifest(paths.manifest(corpus))},
    )


def threads_of(training: Training) -> int:
    """CPU threads of a run."""
    threads: int = getattr(training.settings, "threads", training.compute.threads)
    return threads


def _stores(training: Training) -> dict[str, Features]:
    corpus = training.corpus
    stores: dict[str, Features] = {
        m: read_features(paths.features(corpus, m)) for m in training.settings.modalities
    }
    empty = [m for m, store in stores.items() if not store.present.any()]
    if empty:
        raise PipelineError(
            f"The feature stores of {empty} hold no utterance: take them out of "
            f"{corpus}.{training.name}.modalities, set its `enabled` to false, or see "
            f"data/ledgers/{corpus} for what was wrong."
        )
    return stores


@dataclass(frozen=True)
class KeptRun:
    """One run, and where it is kept while it lasts and after it has ended."""

    fold: int
    seed: int
    path: Path

    def __str__(self) -> str:
        return f"fold {self.fold} seed {self.seed}"

    @property
    def checkpoint(self) -> str:
        """The name of its checkpoint's file."""
        return f"fold{self.fold}-seed{self.seed}.safetensors"

    @property
    def file(self) -> StateFile[RunState]:
        """The file of its state."""
        return StateFile(self.path, RunState)


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
            for epoch in in_turn(read_data(training), (job.run for job in jobs)):
                parent.send(epoch)
    except (EOFError, ConnectionError):
        pass  # the parent was killed; the run lies in its file
    except PipelineError as error:
        parent.send(str(error))
    except (OSError, RuntimeError) as error:
        if (text := in_words(error, "train")) is None:
            raise
        parent.send(text)


def _asked_for(parent: Connection) -> Iterator[Job]:
    """Runs, each asked for when the last one has ended."""
    while True:
        parent.send(None)
        if (job := parent.recv()) is None:
            return
        yield job
