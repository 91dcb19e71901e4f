"""Running a recipe's experiments: what is done is skipped, what failed or was stopped goes on."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.experiments.batch import Batch, Plan, stop
from pipeline.experiments.checking import check
from pipeline.experiments.queue import Queue, Task
from pipeline.experiments.request import Request


def run(request: Request, plan: Plan, jobs: int, queue: Queue) -> None:
    """Runs experiments; returns when all are in DVC.

    Args:
        request: What the user asked for, for messages.
        plan: Names the experiments after the files as they are now, the reference first.
        jobs: Experiments at a time.
        queue: DVC's.

    Raises:
        PipelineError: The queue holds other experiments, settings do not fit, experiments failed
            (the others have been run nevertheless), files changed, or the user stopped it.
    """
    experiments = plan()
    names = {experiment.name for experiment in experiments}
    tasks = queue.tasks()  # before what is finished: what ends in between is in one of the two
    todo = names - queue.finished()
    say(f"{request.label}: {len(names)} experiments, {len(names) - len(todo)} of them done")
    if not todo:
        return
    _refuse_others(tasks, names)
    try:
        check([experiment for experiment in experiments if experiment.name in todo])
        failed = _run(request.label, plan, jobs, queue)
    except KeyboardInterrupt:
        with _deaf():
            say(f"{request.label}: stopping, which may take a minute")
            stop(queue, names)
        raise PipelineError(f"Stopped; what is done is kept. {_again(request)}") from None
    if failed:
        raise PipelineError(
            f"{len(failed)} of {len(names)} experiments failed:\n"
            + "\n".join(failed.values())
            + f"\nFix that; then {_again(request)}"
        )


def _run(label: str, plan: Plan, jobs: int, queue: Queue) -> dict[str, str]:
    """What went wrong, by the experiment's name; what loses its worker gets another chance."""
    batch = Batch(label, queue, plan, jobs)
    batch.run()
    if batch.stranded:
        say(f"{label}: the worker of {sorted(batch.stranded)} has died; once more")
        batch = Batch(label, queue, plan, jobs)
        batch.run()
    return batch.failed | {name: f"{name}: its worker has died twice" for name in batch.stranded}


@contextmanager
def _deaf() -> Iterator[None]:
    """Hears no Ctrl-C: a second one would leave experiments running that nobody waits for."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _again(request: Request) -> str:
    return f"`{request.command}` goes on with the rest."


def _refuse_others(tasks: Sequence[Task], names: set[str]) -> None:
    others = [task for task in tasks if task.active and task.name not in names]
    if others:
        listed = ", ".join(f"{task.name or task.id} ({task.status})" for task in others)
        raise PipelineError(
            f"DVC's queue holds experiments that are not of this recipe as it is now: {listed}. "
            "Wait for them (`dvc queue start`, `dvc queue status`), or `dvc queue kill` and "
            "`dvc queue remove` them, then run this again."
        )
