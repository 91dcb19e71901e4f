"""Run a recipe's experiments with `dvc exp run --temp`, several at a time; stop them; go on.

What was found out about it (DVC 3.67):

- While DVC starts an experiment, the workspace's changes lie in a git stash: it must not be cut
  short then, and files look otherwise. So starts wait for each other.
- SIGINT to DVC and its stage ends both, and DVC deletes the folder in which they ran. After SIGKILL
  the folder stays, and `dvc exp show` says for ever that the experiment is running.
- Two that start at once may take each other's experiment. So what counts is which experiments DVC
  has, not how a process ended.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.paths import CACHE, cache_root
from pipeline.base.progress import progress
from pipeline.experiments.checking import check
from pipeline.experiments.plan import Experiment
from pipeline.weights.fetch import store_root

LOGS = Path(".dvc/tmp/recipes")
FOLDERS = Path(".dvc/tmp/exps/standalone")  # that experiments run in
NOTES = ("run/*/*.run", "standalone/run/*/*.run")  # what DVC notes of them while one starts, runs
STARTED = "Reproducing experiment '"  # DVC's words when the workspace is as it was
LOG_LINES = 15
SECONDS_TO_START, SECONDS_TO_STOP = 60.0, 60.0
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Plan = Callable[[], Sequence[Experiment]]


def run(label: str, command: str, plan: Plan, jobs: int) -> None:
    """Run a plan's experiments that DVC does not have yet; return when it has all of them.

    The reference runs first and alone, because it computes what the others share: they take that
    from DVC's run-cache.

    Args:
        label: Of the progress display.
        command: Goes on with what is left; for messages.
        plan: Names the experiments after the files as they are now, the reference first.
        jobs: Experiments at a time.

    Raises:
        PipelineError: Settings do not fit, experiments failed (the others have been run
            nevertheless), files changed, or the user stopped it.
    """
    experiments = plan()
    todo = _missing(experiments)
    say(f"{label}: {len(experiments)} experiments, {len(experiments) - len(todo)} of them done")
    if not todo:
        return
    again = f"`{command}` goes on with the rest."
    reference = [experiment for experiment in todo if experiment == experiments[0]]
    others = [experiment for experiment in todo if experiment != experiments[0]]
    failed: list[str] = []
    try:
        with (
            _on_signals(signal.default_int_handler),
            progress(f"{label}, experiments", len(todo)) as loop,
        ):
            check(todo)
            for part in (reference, others):
                failed = failed or _Runs(plan).run(part, jobs, loop.advance)
    except KeyboardInterrupt:
        raise PipelineError(f"Stopped; what is done is kept. {again}") from None
    if failed:
        raise PipelineError(
            f"{len(failed)} of {len(experiments)} experiments failed:\n"
            + "\n".join(failed)
            + f"\nFix that; then {again}"
        )


def finished() -> set[str]:
    """Names of the experiments that DVC keeps, of all commits."""
    from dvc.repo import Repo  # takes a second

    with Repo() as repo:
        kept = repo.experiments.ls(all_commits=True)
    return {name for experiments in kept.values() for name, _ in experiments}


def _missing(experiments: Sequence[Experiment]) -> list[Experiment]:
    done = finished() if experiments else set()
    return [experiment for experiment in experiments if experiment.name not in done]


class _Runs:
    """Processes of DVC, each with the stages it runs in a session of its own.

    They do not hear the terminal's Ctrl-C, which would cut a start short.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._status: dict[str, int] = {}
        self._starting = threading.Lock()
        self._stopped = threading.Event()

    def run(
        self, experiments: Sequence[Experiment], jobs: int, ended: Callable[[], None]
    ) -> list[str]:
        """Run experiments to their ends, and return what went wrong, a text for each that failed.

        Raises:
            PipelineError: Files have changed since the plan was made; all have been stopped.
            KeyboardInterrupt: So they have.
        """
        self._all(experiments, jobs, ended)
        missing = _missing(experiments)
        if taken := [e for e in missing if not self._status.get(e.name)]:
            self._all(taken, jobs, lambda: None)  # another's process had taken it, and stopped
            missing = _missing(experiments)
        return [self._failure(experiment) for experiment in missing]

    def _all(self, experiments: Sequence[Experiment], jobs: int, ended: Callable[[], None]) -> None:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for future in as_completed([pool.submit(self._one, e) for e in experiments]):
                    future.result()
                    ended()
            except BaseException as error:
                with _on_signals(signal.SIG_IGN):  # a second Ctrl-C would leave some running
                    if isinstance(error, KeyboardInterrupt):
                        say("stopping, which may take a minute")
                    self._stop()
                raise

    def _failure(self, experiment: Experiment) -> str:
        log, status = _log(experiment), self._status.get(experiment.name)
        lines = log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
        head = f"{experiment.name} failed (exit status {status}); {log} ends with:"
        return "\n".join([head, *(f"    {line}" for line in lines)])

    def _one(self, experiment: Experiment) -> None:
        with _log(experiment).open("a+b") as log:
            if not self._alone(experiment, log):
                return
            with self._starting:
                if self._stopped.is_set():
                    return
                process = self._start(experiment, log)
            self._status[experiment.name] = process.wait()
            self._running.pop(experiment.name)

    def _alone(self, experiment: Experiment, log: IO[bytes]) -> bool:
        """Whether an experiment is to run here.

        Its log is locked by all processes that write to it, those of a command that was killed as
        well; what they run is waited for, not run again.
        """
        waited = False
        while not _locked(log):
            waited = True
            if self._stopped.wait(1):
                return False
        with self._starting:
            if waited and experiment.name in finished():
                return False
            _clear(experiment.name)
        log.truncate(0)
        return True

    def _start(self, experiment: Experiment, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        """Start DVC; return when it has its own copy of the files, or has ended."""
        self._refuse_changes(experiment)
        # In a folder of its own, the default folders would be others.
        shared = {CACHE: cache_root(), "ERC_WEIGHTS": store_root()}
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments(experiment)],
            env=os.environ | {name: str(path.absolute()) for name, path in shared.items()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._running[experiment.name] = process
        while process.poll() is None and STARTED.encode() not in Path(log.name).read_bytes():
            time.sleep(0.1)
        try:
            self._refuse_changes(experiment)
        except PipelineError:
            _end({experiment.name: self._running.pop(experiment.name)})
            _forget(experiment.name)
            raise
        return process

    def _refuse_changes(self, experiment: Experiment) -> None:
        if experiment not in self._plan():
            raise PipelineError(
                f"Files that decide the results changed before {experiment.name} had started; "
                "nothing is running. Run this again for the files as they are now."
            )

    def _stop(self) -> None:
        self._stopped.set()
        started = self._starting.acquire(timeout=SECONDS_TO_START)
        try:
            _end(dict(self._running))
        finally:
            if started:
                self._starting.release()


def arguments(experiment: Experiment) -> list[str]:
    """An experiment as words of DVC's command line."""
    words = ["--allow-missing"] if experiment.allow_missing else []
    words += [word for setting in experiment.settings for word in ("-S", setting)]
    return ["exp", "run", "--temp", "--name", experiment.name, *words, *experiment.targets]


def _log(experiment: Experiment) -> Path:
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{experiment.name}.log"


def _locked(log: IO[bytes]) -> bool:
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _end(running: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    """End experiments and delete the folders in which they ran."""
    for process in running.values():
        _signal(process, signal.SIGINT)
    until = time.monotonic() + SECONDS_TO_STOP
    for name, process in running.items():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
        _signal(process, signal.SIGKILL)  # what has outlived it, or all
        process.wait()
        _clear(name)


def _forget(name: str) -> None:
    """Take back an experiment that ended before it could be ended."""
    from dvc.repo import Repo

    if name in finished():
        with Repo() as repo:
            repo.experiments.remove(exp_names=[name])


def _clear(name: str) -> None:
    """Delete the folder in which an experiment ran that was killed."""
    for file in (file for notes in NOTES for file in FOLDERS.parent.glob(notes)):
        with suppress(OSError, ValueError):
            noted = json.loads(file.read_text("utf-8"))
            if noted["name"] == name:
                shutil.rmtree(FOLDERS / Path(noted["root_dir"]).name, ignore_errors=True)


@contextmanager
def _on_signals(handler: Any) -> Iterator[None]:
    """Handle signals that ask to stop, but for those that are ignored already (nohup)."""
    heard = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
