"""`python -m pipeline tune CORPUS`: the same few points for every system, compared on validation.

Unlike a recipe's search, no point is an experiment of DVC's: all runs of all systems are trained by
the same few processes, which neither start anew nor read test labels. They stay in the cache, so
`dvc repro` finds those of the chosen points there.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import yaml

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import PARAMS, Params, hint, read_params
from pipeline.base.progress import progress
from pipeline.base.settings import ComputeSettings
from pipeline.doctor.machine import programs, repository
from pipeline.executors.spread import spread
from pipeline.experiments import trials
from pipeline.experiments.checking import with_settings
from pipeline.experiments.trials import Point, Request, Trial
from pipeline.systems.base import Settings
from pipeline.training.fit import VALID_F1, RunState
from pipeline.training.kept import NOT_OF_A_RUN, KeptRun, kept_runs
from pipeline.training.reading import Training, TrainingData, read_data
from pipeline.training.runs import Job, needs_of, train

INPUTS = ("protocol", "finetune", "text", "audio", "visual")  # stages whose outputs `train` reads
ByPoint = list[tuple[Point, Training]]


def carry_out(request: Request) -> None:
    """Train every system at every point, print what validation says, write it to docs/tuning.

    Raises:
        PipelineError: Settings or values do not fit, the repository is not in order, a stage before
            training failed, or the user stopped it.
    """
    for finding in (repository(), programs()):
        if finding.level == "FIX":
            raise PipelineError(finding.text)
    params = read_params()
    params.check(request.corpus)
    if request.corpus not in params.corpora:
        raise PipelineError(
            f"{request.corpus} is not run: {PARAMS} has corpora: {params.corpora}. Add it there."
        )
    trainings = _trainings(params, request, _grid(request.values))
    try:
        _bring_up_to_date(request.corpus)
        found = _trials(trainings)
        _train(request.corpus, [trial for of_system in found.values() for trial in of_system])
    except KeyboardInterrupt:
        raise PipelineError(
            f"Stopped; what is done is kept. `{request.command}` goes on with the rest."
        ) from None
    trials.show(request, found)
    say("written:", trials.write(request, found))


def _grid(values: Sequence[str]) -> dict[str, list[Any]]:
    """Settings and their values, from the command line.

    Raises:
        PipelineError: They cannot be read, or are not of a run.
    """
    grid: dict[str, list[Any]] = {}
    for text in values:
        key, _, listed = text.partition("=")
        try:
            several = yaml.safe_load(f"[{listed}]")
        except (yaml.YAMLError, ValueError):  # a date that is none
            several = []
        if not key.isidentifier() or not several:
            raise PipelineError(f"--values: got {text!r}, expected SETTING=VALUE,VALUE,...")
        if key in grid or key in NOT_OF_A_RUN:
            why = "it stands there twice" if key in grid else "it is no setting of a run"
            raise PipelineError(f"--values: got {key!r}, but {why}.")
        grid[key] = several
    return grid


def _trainings(
    params: Params, request: Request, grid: Mapping[str, Sequence[Any]]
) -> dict[str, ByPoint]:
    """All points of all systems with their settings, which are checked as DVC's -S are.

    Raises:
        PipelineError: One message that names all that does not fit.
    """
    names, problems = _systems(params, request, grid)
    points: list[Point] = [dict(zip(grid, one, strict=True)) for one in product(*grid.values())]
    found: dict[str, ByPoint] = {name: [] for name in names}
    for point in points if names else ():
        given = {**point, "seeds": list(request.seeds)}
        settings = [
            trials.setting(request.corpus, n, k, v) for n in names for k, v in given.items()
        ]
        changed, unfit = with_settings(settings)
        if changed is None:
            problems += unfit
            continue
        for name in names:
            own, compute = changed.system(request.corpus, name), changed.of(ComputeSettings)
            found[name].append((point, Training(request.corpus, name, own, compute)))
    for (one, first), (other, second) in combinations(next(iter(found.values()), ()), 2):
        if first == second:
            problems.append(f"{trials.words(one)} and {trials.words(other)} are the same")
    if problems:
        raise PipelineError("\n  ".join(["These cannot be tuned:", *dict.fromkeys(problems)]))
    return found


def _systems(
    params: Params, request: Request, grid: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Systems that can be tuned, and what is wrong with those that the user named."""
    fit, problems, known = [], [], set[str]()
    for name in request.systems or params.systems:
        settings = params.system(request.corpus, name)
        lacking = [key for key in grid if key not in type(settings).model_fields]
        if not isinstance(settings, Settings):
            problems.append(f"{name}: is fitted at once, it has no epochs to choose from")
        elif not settings.enabled:
            problems.append(f"{name}: {request.corpus}.{name}.enabled is false")
        elif lacking:
            known |= set(type(settings).model_fields)
            problems += [f"{name}: got the setting {k!r}{hint(k, known)}" for k in lacking]
        else:
            fit.append(name)
    return fit, problems if request.systems or not fit else []


def _bring_up_to_date(corpus: str) -> None:
    """Run the stages before training, so that stores are of params.yaml as it is.

    Raises:
        PipelineError: One failed; DVC has said why.
    """
    stages = [f"{stage}@{corpus}" for stage in INPUTS]
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *stages]
    with subprocess.Popen(command) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()  # it has heard it too, and ends when its files are whole
            raise
    if process.returncode:
        raise PipelineError(f"A stage before the training of {corpus} failed, as is said above.")


def _trials(trainings: Mapping[str, ByPoint]) -> dict[str, list[Trial]]:
    """Each point with its runs, whose places in the cache follow from the files as they are."""
    read: dict[tuple[str, ...], TrainingData] = {}  # by modalities
    found: dict[str, list[Trial]] = {}
    for name, by_point in trainings.items():
        found[name] = []
        for point, training in by_point:
            modalities = tuple(training.settings.modalities)
            if modalities not in read:
                read[modalities] = read_data(training)
            compute = read[modalities].training.compute
            data = replace(read[modalities], training=replace(training, compute=compute))
            found[name].append(Trial(point, training, kept_runs(data)))
    return found


def _train(corpus: str, several: Sequence[Trial]) -> None:
    """Train what the cache lacks, and note what all runs reached."""
    of_path = {run.path: one for one in several for run in one.runs}
    jobs = [Job(one.training, run) for one in several for run in one.runs if not _ended(one, run)]
    workers = min(one.training.settings.workers for one in several)
    needs = needs_of(several[0].training, workers)
    done = len(of_path) - len(jobs)
    try:
        with (
            closing(spread(train, jobs, needs)) as epochs,  # it ends the processes
            progress(f"tune {corpus}, runs", len(of_path), done) as loop,
        ):
            for epoch in epochs:
                if epoch.last:
                    of_path[epoch.run.path].diverged |= bool(epoch.diverged)
                    loop.advance(of_path[epoch.run.path].training.name)
    except PipelineError as error:
        raise PipelineError(str(error).replace("CORPUS", corpus)) from error
    for one in several:
        one.scores = [] if one.diverged else list(_scores(one))


def _ended(trial: Trial, run: KeptRun) -> RunState | None:
    state: RunState | None = run.file.read()
    return state if state and state.finished(trial.training.limits) else None


def _scores(trial: Trial) -> Iterator[float]:
    for run in trial.runs:
        if (state := _ended(trial, run)) is None:
            raise PipelineError(f"{run.path} is gone or damaged; run this again.")
        yield state.history[state.best_epoch - 1][VALID_F1]
