"""A plan's experiments in DVC's queue: put there in order, kept going, and waited for."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from pipeline.base.errors import PipelineError
from pipeline.base.progress import track
from pipeline.experiments.plan import Experiment
from pipeline.experiments.queue import Queue, Task

SECONDS_BETWEEN_LOOKS = 20.0  # each takes seconds of a core
LOG_LINES = 15
# Looks before something odd is believed: between two folders of the queue a task is in neither,
# and a worker needs a moment to appear.
PATIENCE = 3
SECONDS_TO_STOP, SECONDS_BETWEEN_KILLS = 60.0, 2.0
Plan = Callable[[], Sequence[Experiment]]


def stop(queue: Queue, names: set[str]) -> None:
    """Ends experiments and the workers, and leaves none of them in the queue.

    Args:
        queue: DVC's.
        names: Of the experiments.
    """
    queue.remove([t for t in queue.tasks() if t.name in names and t.status == "Queued"])
    until = time.monotonic() + SECONDS_TO_STOP
    # More than once: while a worker still sets an experiment up there is nothing to interrupt.
    while running := [t for t in queue.tasks() if t.name in names and t.status == "Running"]:
        if time.monotonic() > until:
            break
        queue.kill(running)
        time.sleep(SECONDS_BETWEEN_KILLS)
    queue.stop()


class Batch:
    """A plan's experiments that DVC does not have yet.

    All are queued at once, so that the user may go on editing: DVC keeps what it needs of the files
    with each. The reference runs first and alone, because it computes what the others share: they
    take that from DVC's run-cache.

    Args:
        label: Of the progress display.
        queue: DVC's.
        plan: Names the experiments after the files as they are now, the reference first.
        jobs: How many run at a time.

    Attributes:
        failed: What went wrong, by name.
        stranded: Experiments that nothing runs any more, after a reboot for example.
    """

    def __init__(self, label: str, queue: Queue, plan: Plan, jobs: int) -> None:
        self.failed: dict[str, str] = {}
        self.stranded: set[str] = set()
        self._label = label
        self._queue = queue
        self._plan = plan
        self._jobs = jobs
        self._waiting = {experiment.name: experiment for experiment in plan()}
        self._reference = next(iter(self._waiting))
        self._old: set[str] = set()  # ids of tasks that had ended before
        self._odd: Counter[str] = Counter()  # looks in a row, by name, that found something odd

    def run(self) -> None:
        """Queues what is not in the queue yet, and waits for all of it."""
        self._queue_missing()
        if not self._waiting:
            return
        ended = list(track(self._ended(), f"{self._label}, experiments", len(self._waiting)))
        accounted = self._queue.finished() | self.failed.keys() | self.stranded
        for name in [name for name in ended if name not in accounted]:
            self.failed[name] = f"{name} ended, but `dvc exp list` does not have it"

    def _queue_missing(self) -> None:
        """Queues what neither DVC nor its queue has."""
        tasks = self._tasks_as_they_are()
        finished = self._queue.finished()  # after the tasks: what ends in between is not run again
        self._waiting = {name: e for name, e in self._waiting.items() if name not in finished}
        tasks = [task for task in tasks if task.name in self._waiting]
        there = {task.name: task for task in tasks if task.active}
        if self._reference in self._waiting and self._reference not in there:  # it must be ahead
            there = {name: task for name, task in there.items() if task.status == "Running"}
        gone = [task for task in tasks if task not in there.values()]
        self._queue.remove(gone)
        self._old |= {task.id for task in gone}  # DVC does not always remove what it says
        for name, experiment in self._waiting.items():
            if name not in there:
                self._put(experiment)
            if name == self._reference:
                self._queue.start(1)  # queueing the others takes a while

    def _tasks_as_they_are(self) -> list[Task]:
        """The tasks; those that are said to run, but nothing runs, are marked as failed first."""
        workers = self._queue.workers()  # before the tasks: one may end with its worker
        tasks = self._queue.tasks()
        dead = [task for task in tasks if task.status == "Running"] if not workers else []
        if not dead:
            return tasks
        self._queue.kill(dead)
        return self._queue.tasks()

    def _put(self, experiment: Experiment) -> None:
        if experiment not in self._plan():
            stop(self._queue, set(self._waiting))
            raise PipelineError(
                f"Files that decide the results changed before {experiment.name} was queued; "
                "nothing is in the queue. Run this again for the files as they are now."
            )
        self._queue.put(experiment)

    def _ended(self) -> Iterator[str]:
        """Yields the name of each experiment as it ends, well or not."""
        while self._waiting:
            tasks = self._tasks()
            for name in list(self._waiting):
                if self._has_ended(name, tasks.get(name)):
                    del self._waiting[name]
                    yield name
            if self._reference in self.failed.keys() | self.stranded:
                stop(self._queue, set(self._waiting))  # nothing to compare them with
                self._waiting.clear()
            if self._waiting:
                self._keep_going([tasks[name] for name in tasks if name in self._waiting])
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _tasks(self) -> dict[str, Task]:
        """The tasks of what is waited for; of one that is there twice, the active one."""
        known = [
            task
            for task in self._queue.tasks()
            if task.name in self._waiting and task.id not in self._old
        ]
        return {task.name: task for task in sorted(known, key=lambda task: task.active)}

    def _has_ended(self, name: str, task: Task | None) -> bool:
        if task is None:
            self._odd[name] += 1
            if self._odd[name] >= PATIENCE and name not in self._queue.finished():
                self.failed[name] = f"{name} is no longer in DVC's queue"
            return self._odd[name] >= PATIENCE
        if task.status == "Running" and self._odd[name] >= PATIENCE:
            self.stranded.add(name)
            return True
        if not task.active and task.status != "Success":
            log = self._queue.log(task).splitlines()[-LOG_LINES:]
            head = f"{name} failed; `dvc queue logs {task.id}` ends with:"
            self.failed[name] = "\n".join([head, *(f"    {line}" for line in log)])
        return not task.active

    def _keep_going(self, tasks: Sequence[Task]) -> None:
        """Starts workers where some lack, and counts the looks at what nothing runs."""
        workers = self._queue.workers()
        for task in tasks:
            stranded = task.status == "Running" and not workers
            self._odd[task.name] = self._odd[task.name] + 1 if stranded else 0
        jobs = 1 if self._reference in self._waiting else self._jobs
        if workers < jobs and any(task.status == "Queued" for task in tasks):
            self._queue.start(jobs)
