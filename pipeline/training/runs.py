"""Train runs, in this process or in others.

Each trains by itself, so results depend neither on where it runs nor on other runs.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace

from pipeline.base.errors import PipelineError
from pipeline.executors.spread import Needs
from pipeline.features.common import device
from pipeline.training.data import Fold
from pipeline.training.fit import Run
from pipeline.training.kept import KeptRun, kept_runs
from pipeline.training.learner import DialogueLearner
from pipeline.training.reading import Training, TrainingData, read_data, threads_of
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


@dataclass
class _Read:
    """A corpus, and the fold of it that was asked for last."""

    data: TrainingData
    runs: list[KeptRun] = field(default_factory=list)
    _number: int | None = None
    _fold: Fold | None = None

    def fold(self, number: int) -> Fold:
        if self._fold is None or self._number != number:
            self._number, self._fold = number, self.data.fold(number)
        return self._fold


def needs_of(training: Training, workers: int) -> Needs:
    """What a run takes, where `workers` of them may train at a time on this machine."""
    needs = device.needs_of("train", training.compute)
    preload = ("torch._dynamo",)  # any optimizer imports it, which takes a second and a half
    return replace(needs, workers=workers, cpus=threads_of(training), preload=preload)


def in_turn(data: TrainingData, runs: Iterable[KeptRun]) -> Generator[Epoch, None, None]:
    """Train runs in this process; those of a fold best come together."""
    read = _Read(data)
    for run in runs:
        yield from _trained(read, run)


def _trained(read: _Read, run: KeptRun) -> Iterator[Epoch]:
    if read.data.training.compute.deterministic:
        # Here: torch takes a second, which a cached run need not wait for.
        device.refuse_nondeterminism()
    limits = read.data.training.limits
    history: list[dict[str, float]] = []
    try:
        for state in Run(DialogueLearner(read.fold(run.fold), run.seed)).go(run.file):
            history = list(state.history)
            yield Epoch(run, history, state.finished(limits))
    except DivergedError as error:
        yield Epoch(run, history, last=True, diverged=str(error))


_last: tuple[Training, _Read] | None = None  # of this process' job before, often much alike


def train(job: Job) -> Iterator[Epoch]:
    """Train a run in a process that does nothing else: the work of `spread`.

    Raises:
        PipelineError: The corpus' files were others when the run was dealt out.
    """
    global _last
    if _last is None or _last[0] != job.training:
        data = read_data(job.training)
        _last = job.training, _Read(data, kept_runs(data))
    read = _last[1]
    if job.run not in read.runs:
        raise PipelineError(
            f"The data of {job.training.corpus} changed while it was trained on; nothing of "
            "the new data was kept. Run this again."
        )
    yield from _trained(read, job.run)
