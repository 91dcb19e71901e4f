"""DVC's experiment queue, by its command line: what is in it, and everything done to it.

What was found out about it (DVC 3.67):

- Its workers are processes of their own and outlive the command that starts them. On a loaded
  machine one takes itself for idle, since its own answer came late: it ends the experiment it runs
  and then itself, answers nothing until then, and leaves what is queued lying. So workers are
  counted in the list of processes, and new ones started where some lack.
- `queue stop --kill` ends DVC but not the stage that it runs, and a worker that is told to stop may
  take one more experiment with it, which is then said to be running for ever. `queue kill` sends an
  interrupt to the stage, too.
- Names are not unique in it: a failed experiment stays beside its successor. Task ids are.
- It empties its files before it writes them: who reads one at that moment finds no JSON in it.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.base.errors import PipelineError
from pipeline.base.paths import CACHE, cache_root
from pipeline.experiments.plan import Experiment
from pipeline.weights.fetch import store_root

COLUMNS = ("Task", "Name", "Created", "Status")
EMPTY = "No experiment tasks in the queue."
PASSING = (  # what DVC says when another process is at work on its files
    "Unable to acquire lock",
    "is busy, it is being blocked by",
    "Expecting value: line 1 column 1 (char 0)",
)
TRIES, SECONDS_BETWEEN_TRIES = 5, 3.0
NONE_STARTED = "Started '0'"
WORKER = ["exp", "queue-worker"]


@dataclass(frozen=True)
class Task:
    """A line of `dvc queue status`.

    Attributes:
        id: Unique.
        name: Of the experiment; "" if the user gave none.
        status: Queued, Running, Failed, Success or Unknown.
    """

    id: str
    name: str
    status: str

    @property
    def active(self) -> bool:
        """Whether it is still to come or under way."""
        return self.status in ("Queued", "Running")


class Queue:
    """The queue of the repository in the working folder."""

    def tasks(self) -> list[Task]:
        """All that are in the queue, ended ones too."""
        return parsed(self._dvc("queue", "status"))

    def finished(self) -> set[str]:
        """Names of the experiments that DVC keeps, of all commits."""
        return set(self._dvc("exp", "list", "--all-commits", "--names-only").split())

    def put(self, experiment: Experiment) -> None:
        """Queues an experiment with the workspace's files as they are."""
        words = ["--allow-missing"] if experiment.allow_missing else []
        words += [word for setting in experiment.settings for word in ("-S", setting)]
        self._dvc("exp", "run", "--queue", "--name", experiment.name, *words, *experiment.targets)

    def start(self, jobs: int) -> None:
        """Brings the workers to a number.

        DVC starts those of the first N that do not answer. One that no longer answers may still run
        an experiment, so N is what lacks; where all of those answer, it is others that lack.
        """
        lacking = jobs - self.workers()
        if lacking > 0 and NONE_STARTED in self._dvc("queue", "start", "--jobs", str(lacking)):
            self._dvc("queue", "start", "--jobs", str(jobs))

    def workers(self) -> int:
        """How many worker processes this repository has, whether they answer or not."""
        root = str(Path.cwd())
        return sum(
            _is_worker(process.info["cmdline"]) and process.info["cwd"] == root
            for process in psutil.process_iter(["cmdline", "cwd"])
        )

    def kill(self, tasks: Sequence[Task]) -> None:
        """Interrupts running tasks and their stages; those that nothing runs are marked failed."""
        if tasks:
            self._try("queue", "kill", *(task.id for task in tasks))

    def remove(self, tasks: Sequence[Task]) -> None:
        """Takes tasks that do not run out of the queue, as far as DVC manages to."""
        if tasks:
            self._try("queue", "remove", *(task.id for task in tasks))

    def stop(self) -> None:
        """Ends the workers, and what they run."""
        self._try("queue", "stop", "--kill")

    def log(self, task: Task) -> str:
        """What a task has printed."""
        return self._try("queue", "logs", task.id)

    def _dvc(self, *words: str) -> str:
        """The output of a command of DVC, which must succeed."""
        for _ in range(TRIES):
            done = _run(words)
            if done.returncode == 0:
                return done.stdout
            if not any(passing in done.stderr for passing in PASSING):
                break
            time.sleep(SECONDS_BETWEEN_TRIES)
        raise PipelineError(f"`dvc {' '.join(words)}` failed:\n{_output(done)}")

    def _try(self, *words: str) -> str:
        """What a command of DVC says, whether it succeeds or not."""
        return _output(_run(words))


def parsed(status: str) -> list[Task]:
    """The lines of `dvc queue status`; names may be empty, times hold blanks.

    Raises:
        PipelineError: It looks otherwise than expected.
    """
    lines = status.splitlines()
    if EMPTY in lines:
        return []
    heads = [number for number, line in enumerate(lines) if line.split() == list(COLUMNS)]
    if not heads:
        raise PipelineError(
            f"`dvc queue status` printed no line with {COLUMNS}, but:\n{status}\n"
            "Run it by hand; is it another version of DVC than the one in requirements.lock?"
        )
    head, *rows = lines[heads[0] :]
    starts = [head.index(column) for column in COLUMNS]
    ends = [*starts[1:], None]
    cells = [
        [row[s:e].strip() for s, e in zip(starts, ends, strict=True)] for row in _until_blank(rows)
    ]
    return [Task(id=id_, name=name, status=status) for id_, name, _, status in cells]


def _until_blank(rows: Sequence[str]) -> Sequence[str]:
    blank = next((number for number, row in enumerate(rows) if not row.strip()), len(rows))
    return rows[:blank]


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs DVC to its end, even if Ctrl-C is pressed meanwhile.

    While `exp run --queue` works, the workspace's changes lie in a git stash: DVC must not be cut
    short. In a session of its own it does not hear the terminal's Ctrl-C, and this waits for it.
    """
    # In the temporary workspaces of the queue, the default folders would be others.
    shared = {CACHE: cache_root(), "ERC_WEIGHTS": store_root()}
    environment = os.environ | {name: str(path.absolute()) for name, path in shared.items()}
    # Files, not pipes: the workers that `queue start` leaves behind hold on to what it writes to.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            ["dvc", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
        for file in (out, err):
            file.seek(0)
        printed = (file.read().decode("utf-8", "replace") for file in (out, err))
        return subprocess.CompletedProcess(words, process.returncode, *printed)


def _output(done: subprocess.CompletedProcess[str]) -> str:
    return f"{done.stdout}\n{done.stderr}".strip()


def _is_worker(command: Sequence[str] | None) -> bool:
    words = list(command or [])
    return any(words[n : n + 2] == WORKER for n in range(len(words)))
