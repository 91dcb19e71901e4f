"""Several processes: the same bytes as one, and clear words when a process ends early."""

import errno
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import psutil
import pytest
import torch

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.executors import processes
from pipeline.executors.processes import in_processes
from pipeline.executors.spread import Needs
from pipeline.training import runs as module
from pipeline.training.fit import Run
from pipeline.training.kept import KeptRun, kept_runs
from pipeline.training.reading import Training, read_data
from pipeline.training.runs import Epoch, Job, in_turn, train
from pipeline.training.train import train_system
from tests.conftest import ROOT
from tests.synthetic import lay_out
from tests.training.toy import changed, outputs, toy


@pytest.fixture
def training() -> Training:
    return toy(seeds=(1, 2, 3), workers=2)


@pytest.fixture
def runs(workspace: Path, training: Training) -> list[KeptRun]:
    lay_out("toy")
    return kept_runs(read_data(training))


def jobs(training: Training) -> list[Job]:
    return [Job(training, run) for run in kept_runs(read_data(training))]


def trained(jobs: Sequence[Job], workers: int) -> Generator[Epoch, None, None]:
    return in_processes(train, jobs, Needs("train", workers))


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_processes(
    workspace: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    train_system(training)
    together = outputs()
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    train_system(changed(training, workers=1))
    assert outputs() == together
    assert len([name for name in together if name.endswith(".safetensors")]) == 3


def test_each_epoch_is_reported_and_every_run_is_trained_once(
    training: Training, runs: list[KeptRun]
) -> None:
    epochs = list(trained(jobs(training), 2))
    for run in runs:
        state = run.file.read()
        assert state is not None and state.finished(training.limits)
        own = [epoch for epoch in epochs if epoch.run == run]
        assert [epoch.history[-1] for epoch in own] == state.history
        assert [epoch.last for epoch in own] == [False] * (len(own) - 1) + [True]


def test_the_history_is_in_order_though_runs_train_side_by_side(
    workspace: Path, training: Training
) -> None:
    lay_out("toy")
    train_system(changed(training, seeds=(3, 1)))
    history = pd.read_csv(paths.metrics("toy", "mcn_cl", "history.csv"))
    assert [list(group["epoch"]) for _, group in history.groupby("seed")] == [[1, 2, 3, 4]] * 2
    assert list(history["seed"].unique()) == [3, 1], "as params.yaml names them"


def test_a_killed_process_is_reported_and_the_others_end(
    training: Training, runs: list[KeptRun]
) -> None:
    others = {child.pid for child in multiprocessing.active_children()}
    epochs = trained(jobs(changed(training, epochs=2000, patience=2000)), 2)
    next(epochs)
    next(c for c in multiprocessing.active_children() if c.pid not in others).kill()
    with pytest.raises(PipelineError, match=r"ended by signal 9.*SYSTEM.workers"):
        list(epochs)
    left = {child.pid for child in multiprocessing.active_children()}
    assert left <= others, "the other process is ended too"


def test_an_error_of_a_process_is_raised_in_its_own_words(
    training: Training, runs: list[KeptRun]
) -> None:
    waiting = jobs(training)
    paths.protocol("toy").unlink()
    with pytest.raises(PipelineError, match=r"protocols.toy\.parquet"):
        list(trained(waiting, 2))


def test_a_run_of_other_files_than_those_it_was_dealt_out_for_is_refused(
    training: Training, runs: list[KeptRun]
) -> None:
    """Its results would lie in the cache under the old files' name."""
    waiting = jobs(training)
    lay_out("toy", seed=1)
    with pytest.raises(PipelineError, match="data of toy changed while it was trained on"):
        list(trained(waiting, 2))
    assert not any(run.file.read() for run in runs)


NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory.")
FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cache/run.pt")


@pytest.mark.parametrize(
    ("error", "begin", "advice"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            "CUDA out of memory.",
            "CORPUS.SYSTEM.workers",
        ),
        (FULL_DISK, "No space left on device: cache/run.pt", "resumes"),
    ],
)
def test_a_lack_of_room_is_reported_by_the_process_that_met_it(
    training: Training,
    runs: list[KeptRun],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    begin: str,
    advice: str,
) -> None:
    monkeypatch.setattr(module, "read_data", Mock(side_effect=error))
    here, there = multiprocessing.Pipe()
    here.send([Job(training, runs[0])])
    processes._serve(there, train, "train")
    assert here.recv() == ("ready", None), "it asks for a run"
    kind, text = here.recv()
    assert kind == "error" and text.startswith(begin) and advice in text


@pytest.mark.slow
def test_an_error_that_nobody_foresaw_is_not_called_too_little_memory(
    training: Training, runs: list[KeptRun], capfd: pytest.CaptureFixture[str]
) -> None:
    forkserver._forkserver._stop()  # the next one writes to this test's standard error
    lay_out("toy")
    unfit = changed(training, width="wide")
    with pytest.raises(PipelineError, match="ended with code 1; its error stands above"):
        list(trained(jobs(unfit), 2))
    assert "TypeError" in capfd.readouterr().err


ENDLESS = """
from pathlib import Path
from pipeline.executors import processes, spread
from pipeline.training import kept, reading, runs
from tests.training.toy import toy
reading.read_protocol = lambda *_, **__: Path("endless").read_bytes()
if __name__ == "__main__":
    both = [runs.Job(toy(), kept.KeptRun(0, n, Path(f"{n}.pt"))) for n in (1, 2)]
    list(processes.in_processes(runs.train, both, spread.Needs("train", 2)))
"""


@pytest.mark.slow
def test_processes_end_at_once_when_their_parent_is_killed(workspace: Path) -> None:
    """In the middle of anything: here they wait for a file without end."""
    os.mkfifo("endless")
    Path("endless.py").write_text(ENDLESS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "endless.py"], env=environment)
    writing = os.open("endless", os.O_WRONLY)  # waits until they read
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    try:
        assert len(children) >= 2 and not psutil.wait_procs(children, timeout=30)[1]
    finally:
        os.close(writing)


def test_a_process_whose_parent_was_killed_ends_with_the_next_epoch(
    training: Training, runs: list[KeptRun]
) -> None:
    here, there = multiprocessing.Pipe()
    here.send([Job(training, runs[0])])
    here.close()
    processes._serve(there, train, "train")
    state = runs[0].file.read()
    assert state is None or not state.finished(training.limits)


def test_a_loss_that_is_no_number_ends_the_training(
    workspace: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    alone = changed(training, workers=1)
    monkeypatch.setattr(Run, "_step", lambda *_: {"train_total": torch.tensor(torch.inf)})
    with pytest.raises(PipelineError, match=r"Epoch 1 .* inf.*CORPUS\.mcn_cl\.learning_rate"):
        train_system(alone)


def test_a_run_that_diverges_is_reported_and_the_next_is_trained(
    training: Training, runs: list[KeptRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Run._step

    def first_diverges(self: Run, places: list[int]) -> dict[str, torch.Tensor]:
        values = step(self, places)
        if self.learner.number == 1:
            values["train_total"] = torch.tensor(torch.nan)
        return values

    monkeypatch.setattr(Run, "_step", first_diverges)
    epochs = list(in_turn(read_data(training), runs[:2]))
    assert "training diverged" in epochs[0].diverged and epochs[0].last and not epochs[0].history
    assert {epoch.run for epoch in epochs[1:]} == {runs[1]} and epochs[-1].last
    assert not any(epoch.diverged for epoch in epochs[1:])


def test_a_process_takes_runs_of_several_trainings(
    training: Training, runs: list[KeptRun], workspace: Path
) -> None:
    other = changed(training, learning_rate=0.01)
    (mine, second) = jobs(training)[0], jobs(other)[1]
    list(trained([mine, second, jobs(training)[2]], 1))
    alone = KeptRun(0, second.run.seed, workspace / "alone.pt")
    list(in_turn(read_data(other), [alone]))
    here, there = (run.file.read() for run in (second.run, alone))
    assert here is not None and there is not None and here.history == there.history
