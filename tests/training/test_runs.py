"""Several processes: the same bytes as one, and clear words when a process ends early."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.base.errors import PipelineError
from pipeline.training import runs as module
from pipeline.training.data import TrainingSettings
from pipeline.training.fit import Run
from pipeline.training.runs import Runs, in_processes
from pipeline.training.train import train_corpus
from tests.synthetic import lay_out
from tests.training.toy import outputs, toy_settings


@pytest.fixture
def settings() -> TrainingSettings:
    return toy_settings(seeds=(1, 2, 3), workers=2)


def test_bytes_do_not_depend_on_the_number_of_processes(
    workspace: Path, settings: TrainingSettings
) -> None:
    lay_out("toy")
    train_corpus("toy", settings)
    together = outputs("toy")
    alone = settings.train.model_copy(update={"workers": 1})
    train_corpus("toy", replace(settings, train=alone))
    assert outputs("toy") == together
    assert len([name for name in together if name.endswith(".safetensors")]) == 3


def test_each_epoch_is_told_and_runs_are_dealt_out(
    workspace: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    lay_out("toy")
    runs = Runs([(0, 1), (0, 2), (0, 3)], tmp_path / "runs")
    assert [runs.share(n, 2).names for n in (0, 1)] == [[(0, 1), (0, 3)], [(0, 2)]]
    told = sum(1 for _ in in_processes("toy", settings, runs, 2))
    assert told == sum(len(runs.file(*name).read().history) for name in runs.names)


def test_a_killed_process_is_told_and_the_run_goes_on_later(
    workspace: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    lay_out("toy")
    runs = Runs([(0, 1), (0, 2)], tmp_path / "runs")
    long = settings.train.model_copy(update={"epochs": 2000, "patience": 2000})
    epochs = in_processes("toy", replace(settings, train=long), runs, 2)
    next(epochs)
    multiprocessing.active_children()[0].kill()
    with pytest.raises(PipelineError, match=r"ended with code -9.*train.workers"):
        list(epochs)
    assert not multiprocessing.active_children(), "the other process is ended too"


def test_a_problem_is_told_in_its_own_words(
    workspace: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    runs = Runs([(0, 1), (0, 2)], tmp_path / "runs")
    with pytest.raises(PipelineError, match=r"protocols.toy\.parquet"):
        list(in_processes("toy", settings, runs, 2))


def test_a_process_whose_parent_was_killed_ends(
    workspace: Path, settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    reader, writer = multiprocessing.Pipe(duplex=False)
    reader.close()
    runs = Runs([(0, 1), (0, 2)], tmp_path / "runs")
    module._work("toy", settings, runs, writer)
    assert not runs.file(0, 2).path.exists(), "the first epoch that nobody hears of is the last"


def test_a_gpu_without_room_is_told_by_the_process_that_met_it(
    settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(module, "read_data", full)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)  # this very process listens on
    reader, writer = multiprocessing.Pipe(duplex=False)
    module._work("toy", settings, Runs([(0, 1)], tmp_path), writer)
    said = reader.recv()
    assert said.startswith("CUDA out of memory.") and "CORPUS.train.workers" in said


def test_a_loss_that_is_no_number_ends_the_training(
    workspace: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    alone = replace(settings, train=settings.train.model_copy(update={"workers": 1}))
    monkeypatch.setattr(Run, "_fit", lambda *_: {"train_total": float("inf")})
    with pytest.raises(PipelineError, match=r"Epoch 1 .* inf.*CORPUS\.train\.learning_rate"):
        train_corpus("toy", alone)
