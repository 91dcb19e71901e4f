"""Training: what it reads, that it learns, that it is reproducible and survives a kill."""

import math
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
from pipeline.training.data import TrainingSettings
from pipeline.training.train import train_corpus
from tests.synthetic import lay_out
from tests.training.toy import outputs, toy_settings

COLUMNS = {
    *("train_total", "train_cross_entropy", "train_contrastive", "train_contrastive_audio"),
    *("valid_cross_entropy", "train_weighted_f1", "valid_weighted_f1"),
    *("gradient_norm", "learning_rate"),
}


@pytest.fixture
def settings() -> TrainingSettings:
    return toy_settings()


def test_writes_a_checkpoint_for_each_seed_and_every_epochs_predictions(
    workspace: Path, settings: TrainingSettings
) -> None:
    lay_out("toy")
    train_corpus("toy", settings)
    names = [path.name for path in sorted(paths.checkpoints("toy").iterdir())]
    kinds = ("md", "safetensors")
    assert names == [f"fold0-seed{seed}.{kind}" for seed in (1, 2) for kind in kinds]
    history = pd.read_csv(paths.metrics("toy", "history.csv"))
    assert list(history["seed"].unique()) == [1, 2]
    assert set(history.columns) >= COLUMNS and history.notna().all(axis=None)
    rows = read_epochs(paths.epochs("toy"))
    assert len(rows) == 2 * len(history)
    for seed, group in history.groupby("seed"):
        best = int(group["valid_weighted_f1"].to_numpy().argmax()) + 1
        chosen = {r.epoch for r in rows if r.seed == seed and r.selected}
        assert chosen == {best}, "the first epoch with the best validation score is selected"
    for row in rows:
        assert np.allclose(row.probabilities.sum(1), 1, atol=1e-5)


def test_learns_what_can_be_learned(workspace: Path, settings: TrainingSettings) -> None:
    lay_out("toy")
    longer = settings.train.model_copy(update={"epochs": 30, "patience": 30})
    train_corpus("toy", replace(settings, train=longer))
    history = pd.read_csv(paths.metrics("toy", "history.csv"))
    assert history["valid_weighted_f1"].max() > 50
    first, last = history["train_total"].iloc[0], history["train_total"].iloc[29]
    assert last < first / 2


def test_two_runs_give_the_same_bytes(
    workspace: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    train_corpus("toy", settings)
    first = outputs("toy")
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    train_corpus("toy", settings)
    assert outputs("toy") == first


def test_a_killed_run_resumes_and_ends_in_the_same_bytes(
    workspace: Path,
    settings: TrainingSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lay_out("toy")
    train_corpus("toy", settings)
    undisturbed = outputs("toy")
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    monkeypatch.setattr("pipeline.base.state.SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", math.inf)
    done: list[int] = []
    whole_epoch = loop.Run._epoch

    def epoch(run: loop.Run, state: loop.RunState) -> None:
        if len(done) == 6:  # in the second seed's third epoch
            raise KeyboardInterrupt
        done.append(run.seed)
        whole_epoch(run, state)

    with monkeypatch.context() as killed:
        killed.setattr(loop.Run, "_epoch", epoch)
        with pytest.raises(KeyboardInterrupt):
            train_corpus("toy", settings)
    resumed: list[int] = []

    def counted(run: loop.Run, state: loop.RunState) -> None:
        resumed.append(run.seed)
        whole_epoch(run, state)

    monkeypatch.setattr(loop.Run, "_epoch", counted)
    capsys.readouterr()
    train_corpus("toy", settings)
    assert resumed == [2, 2], "seed 1 was finished, seed 2 had two of four epochs"
    assert outputs("toy") == undisturbed
    first, *_, one, two = capsys.readouterr().out.splitlines()
    assert first == "  fold 0 seed 2: resumes at epoch 3"
    assert one.endswith("from the cache") and not two.endswith("from the cache")


def test_the_history_grows_with_each_epoch(
    workspace: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", math.inf)
    file, grown = paths.metrics("toy", "history.csv"), []
    whole_epoch = loop.Run._epoch

    def epoch(run: loop.Run, state: loop.RunState) -> None:
        grown.append(file.read_bytes() if file.exists() else b"")
        whole_epoch(run, state)

    monkeypatch.setattr(loop.Run, "_epoch", epoch)
    train_corpus("toy", settings)
    final = file.read_bytes()
    assert all(final.startswith(part) for part in grown)
    assert [part.count(b"\n") for part in grown] == [0, *range(2, 9)], "a header, then the epochs"
    assert final.count(b"\n") == 9


def test_poisoned_test_labels_change_nothing(
    workspace: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    train_corpus("toy", settings)
    clean = outputs("toy")
    protocol = read_protocol(paths.protocol("toy"))
    poisoned = [
        replace(e, label=((e.label or 0) + 1) % len(protocol.classes)) if e.split == "test" else e
        for e in protocol.entries
    ]
    write_protocol(paths.protocol("toy"), Protocol(protocol.classes, poisoned))
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    train_corpus("toy", settings)
    assert outputs("toy") == clean


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
    workspace: Path, settings: TrainingSettings, provenance: dict[str, object]
) -> None:
    lay_out("toy")
    store = paths.features("toy", "audio")
    old = read_features(store)
    rows = [(name, np.ones((1, 9), np.float32)) for name in old.utterances]
    write_features(store, rows, provenance)
    with pytest.raises(PipelineError, match=f"{store}: its provenance lacks"):
        train_corpus("toy", settings)
    assert not paths.metrics("toy", "history.csv").exists()
