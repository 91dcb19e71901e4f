"""DVC's queue by its command line: the lines of its status, what it is told, locks, Ctrl-C."""

import os
import signal
import threading
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.experiments.plan import Experiment
from pipeline.experiments.queue import Queue, Task, _is_worker, parsed
from tests.experiments.conftest import FakeDvc

STATUS = """\
Task     Name                      Created       Status
68d3eff  demo-ablation-text-12345  04:02 PM      Running
2206e44                            Nov 20, 2026  Queued
b582254  a-c                       04:01 PM      Failed
448e93f  a-full                    03:58 PM      Success

Worker status: 2 active, 0 idle
"""


def test_status_lines_with_and_without_a_name() -> None:
    assert parsed(STATUS) == [
        Task("68d3eff", "demo-ablation-text-12345", "Running"),
        Task("2206e44", "", "Queued"),
        Task("b582254", "a-c", "Failed"),
        Task("448e93f", "a-full", "Success"),
    ]
    assert [task.active for task in parsed(STATUS)] == [True, True, False, False]


def test_an_empty_queue() -> None:
    empty = "No experiment tasks in the queue.\n\nWorker status: 0 active, 0 idle\n"
    assert parsed(empty) == []


def test_another_status_is_an_error() -> None:
    with pytest.raises(PipelineError, match=r"printed no line with .*but:\nrev  exp"):
        parsed("rev  exp\n")


def test_what_is_queued_with_what(dvc: FakeDvc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE", "some/cache")
    monkeypatch.delenv("ERC_WEIGHTS", raising=False)
    Queue().put(
        Experiment("a", "r-a", ("x.y=[1]", "z=2"), allow_missing=False, targets=("evaluate@x",))
    )
    Queue().put(Experiment("b", "r-b", ("z=2",), allow_missing=True, targets=("train@x",)))
    common = ["exp", "run", "--queue", "--name"]
    assert dvc.asked("exp") == [
        [*common, "r-a", "-S", "x.y=[1]", "-S", "z=2", "evaluate@x"],
        [*common, "r-b", "--allow-missing", "-S", "z=2", "train@x"],
    ]
    call = dvc.calls()[0]
    assert call["ERC_CACHE"] == str(Path("some/cache").absolute())
    assert call["ERC_WEIGHTS"] == str(Path("models/weights").absolute())


def test_only_lacking_workers_are_started(dvc: FakeDvc) -> None:
    dvc.set(workers=1)
    Queue().start(3)
    Queue().start(3)
    assert dvc.asked("queue", "start") == [["queue", "start", "--jobs", "2"]]


def test_a_lock_is_waited_for_but_not_for_ever(dvc: FakeDvc) -> None:
    dvc.set(busy=3, finished=["a", "b"])
    assert Queue().finished() == {"a", "b"}
    dvc.set(busy=9)
    with pytest.raises(PipelineError, match=r"`dvc queue status` failed:\nERROR: Unable to acq"):
        Queue().tasks()


def test_a_half_written_file_of_dvc_is_read_again(dvc: FakeDvc) -> None:
    refusal = "ERROR: unexpected error - Expecting value: line 1 column 1 (char 0)"
    dvc.set(busy=2, refusal=refusal, finished=["a"])
    assert Queue().finished() == {"a"}


def test_what_dvc_refuses_is_told(dvc: FakeDvc) -> None:
    with pytest.raises(PipelineError, match=r"`dvc exp fly` failed:\nno such command"):
        Queue()._dvc("exp", "fly")


def test_an_interrupt_does_not_cut_dvc_short(dvc: FakeDvc) -> None:
    """It may have the workspace's files in a git stash at that moment."""
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    # A shell's background job ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            Queue()._dvc("sleep")
    finally:
        signal.signal(signal.SIGINT, before)
    assert Path("awake").exists()


def test_workers_are_told_from_other_processes() -> None:
    assert _is_worker(["python", "/venv/bin/dvc", "exp", "queue-worker", "dvc-exp-3931b8-1@x"])
    assert not _is_worker(["python", "/venv/bin/dvc", "exp", "exec-run", "--infofile", "x"])
    assert not _is_worker(["vi", "queue-worker"]) and not _is_worker(None)


def test_no_worker_runs_in_an_empty_folder(workspace: Path) -> None:
    assert Queue().workers() == 0
