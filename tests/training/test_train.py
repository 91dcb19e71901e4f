"""Training: what it reads, that it learns, that it is reproducible and survives a kill."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.records.epochs import read_epochs
from pipeline.records.features import read_features, write_features
from pipeline.records.protocol import Protocol, read_protocol, write_protocol
from pipeline.training import fit as loop
from pipeline.training.learner import DialogueLearner
from pipeline.training.reading import Training
from pipeline.training.train import train_system
from tests.synthetic import lay_out
from tests.training.toy import changed, outputs, toy

COLUMNS = {
    *("train_total", "train_cross_entropy", "train_contrastive"),
    *("valid_cross_entropy", "train_weighted_f1", "valid_weighted_f1"),
    *("gradient_norm", "learning_rate"),
}


def number(run: loop.Run) -> int:
    """The seed of a run."""
    assert isinstance(run.learner, DialogueLearner)
    return run.learner.number


@pytest.fixture
def training() -> Training:
    return toy()


@pytest.mark.slow
def test_writes_a_checkpoint_for_each_seed_and_every_epochs_predictions(
    workspace: Path, training: Training
) -> None:
    lay_out("toy")
    train_system(training)
    names = [path.name for path in sorted(paths.checkpoints("toy", "mcn_cl").iterdir())]
    kinds = ("md", "safetensors")
    assert names == [f"fold0-seed{seed}.{kind}" for seed in (1, 2) for kind in kinds]
    history = pd.read_csv(paths.metrics("toy", "mcn_cl", "history.csv"))
    assert list(history["seed"].unique()) == [1, 2]
    assert set(history.columns) >= COLUMNS and history.notna().all(axis=None)
    rows, _ = read_epochs(paths.epochs("toy", "mcn_cl"))
    assert len(rows) == 2 * len(history)
    for seed, group in history.groupby("seed"):
        best = int(group["valid_weighted_f1"].to_numpy().argmax()) + 1
        chosen = {r.epoch for r in rows if r.seed == seed and r.selected}
        assert chosen == {best}, "the first epoch with the best validation score is selected"
    for row in rows:
        assert np.allclose(row.probabilities.sum(1), 1, atol=1e-5)


def test_only_epochs_of_the_last_stage_can_be_chosen(workspace: Path) -> None:
    lay_out("toy")
    train_system(toy("telme", training="staged", heads=2, seeds=(1,), epochs=2, patience=2))
    history = pd.read_csv(paths.metrics("toy", "telme", "history.csv"))
    stages = 1 + len(toy("telme").settings.modalities)
    assert len(history) == 2 * stages
    rows, _ = read_epochs(paths.epochs("toy", "telme"))
    last = {2 * stages - 1, 2 * stages}
    assert {row.epoch for row in rows} == last
    assert {row.epoch for row in rows if row.selected} < last


@pytest.mark.slow
def test_learns_what_can_be_learned(workspace: Path, training: Training) -> None:
    lay_out("toy")
    train_system(changed(training, epochs=30, patience=30))
    history = pd.read_csv(paths.metrics("toy", "mcn_cl", "history.csv"))
    assert history["valid_weighted_f1"].max() > 50
    first, last = history["train_total"].iloc[0], history["train_total"].iloc[29]
    assert last < first / 2


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(
    workspace: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    train_system(training)
    first = outputs()
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    train_system(training)
    assert outputs() == first


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_in_the_same_bytes(
    workspace: Path,
    training: Training,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lay_out("toy")
    train_system(training)
    undisturbed = outputs()
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    monkeypatch.setattr("pipeline.base.state.SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", math.inf)
    done: list[int] = []
    whole_epoch = loop.Run._epoch

    def epoch(run: loop.Run, state: loop.RunState) -> Iterator[None]:
        if len(done) == 6:  # in the second seed's third epoch
            raise KeyboardInterrupt
        done.append(number(run))
        return whole_epoch(run, state)

    with monkeypatch.context() as killed:
        killed.setattr(loop.Run, "_epoch", epoch)
        with pytest.raises(KeyboardInterrupt):
            train_system(training)
    resumed: list[int] = []

    def counted(run: loop.Run, state: loop.RunState) -> Iterator[None]:
        resumed.append(number(run))
        return whole_epoch(run, state)

    monkeypatch.setattr(loop.Run, "_epoch", counted)
    capsys.readouterr()
    train_system(training)
    assert resumed == [2, 2], "seed 1 was finished, seed 2 had two of four epochs"
    assert outputs() == undisturbed
    first, *_, one, two = capsys.readouterr().out.splitlines()
    assert first == "  fold 0 seed 2: resumes at epoch 3"
    assert one.endswith("from the cache") and not two.endswith("from the cache")


@pytest.mark.slow
def test_the_history_grows_with_each_epoch(
    workspace: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", math.inf)
    file, grown = paths.metrics("toy", "mcn_cl", "history.csv"), []
    whole_epoch = loop.Run._epoch

    def epoch(run: loop.Run, state: loop.RunState) -> Iterator[None]:
        grown.append(file.read_bytes() if file.exists() else b"")
        return whole_epoch(run, state)

    monkeypatch.setattr(loop.Run, "_epoch", epoch)
    train_system(training)
    final = file.read_bytes()
    assert all(final.startswith(part) for part in grown)
    assert [part.count(b"\n") for part in grown] == [0, *range(2, 9)], "a header, then the epochs"
    assert final.count(b"\n") == 9


@pytest.mark.slow
def test_poisoned_test_labels_change_nothing(
    workspace: Path, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    train_system(training)
    clean = outputs()
    protocol = read_protocol(paths.protocol("toy"))
    poisoned = [
        replace(e, label=((e.label or 0) + 1) % len(protocol.classes)) if e.split == "test" else e
        for e in protocol.entries
    ]
    write_protocol(paths.protocol("toy"), Protocol(protocol.classes, poisoned))
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    train_system(training)
    assert outputs() == clean


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"extractor": "audio"},
        {"settings": {}},
        {"extractor": "opensmile", "settings": {}},
        {"extractor": "hub", "settings": {}, "encoder": {"name": "x"}},
        {"extractor": "hub", "settings": None},
    ],
)
def test_a_store_that_says_too_little_of_itself_is_refused_before_the_first_epoch(
    workspace: Path, training: Training, provenance: dict[str, object]
) -> None:
    lay_out("toy")
    store = paths.features("toy", "audio")
    old = read_features(store)
    rows = [(name, np.ones((1, 9), np.float32)) for name in old.utterances]
    write_features(store, rows, provenance)
    with pytest.raises(PipelineError, match=f"{store}: its provenance lacks"):
        train_system(training)
    assert not paths.metrics("toy", "mcn_cl", "history.csv").exists()
