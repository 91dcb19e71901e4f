"""Training runs stay in the cache: a run is trained again only if what decides it has changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.base import cache_table as caches
from pipeline.base import fingerprint, paths
from pipeline.base.cache import contents
from pipeline.base.fingerprint import code_digest
from pipeline.records.protocol import Protocol, read_protocol, write_protocol
from pipeline.training.learner import DialogueLearner
from pipeline.training.train import train_system
from tests.conftest import ROOT, enlarge
from tests.synthetic import lay_out
from tests.training.toy import outputs, toy

TURNED = {"train": "train", "valid": "test", "test": "valid"}


@pytest.fixture
def train(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Train a corpus with some settings of `train` changed; give the seeds that were trained."""
    trained: list[int] = []
    whole = DialogueLearner.__init__

    def init(learner: DialogueLearner, fold: Any, seed: int) -> None:
        trained.append(seed)
        whole(learner, fold, seed)

    monkeypatch.setattr(DialogueLearner, "__init__", init)

    def run(corpus: str = "toy", **changes: Any) -> list[int]:
        trained.clear()
        train_system(toy(corpus=corpus, **{"epochs": 2, **changes}))
        return list(trained)

    lay_out("toy")
    assert run() == [1, 2]
    return run


@pytest.mark.slow
def test_nothing_is_trained_where_nothing_has_changed(train: Callable[..., list[int]]) -> None:
    first = outputs()
    shutil.rmtree("metrics")
    shutil.rmtree("models")
    assert train() == [] and outputs() == first


@pytest.mark.slow
def test_another_seed_trains_one_run_and_one_less_none(train: Callable[..., list[int]]) -> None:
    assert train(seeds=(1, 5, 2)) == [5]
    assert sorted(outputs())[:2] == ["fold0-seed1.md", "fold0-seed1.safetensors"]
    assert train(seeds=(5,)) == []


@pytest.mark.slow
def test_another_fold_trains_the_runs_of_that_fold(train: Callable[..., list[int]]) -> None:
    protocol = read_protocol(paths.protocol("toy"))
    turned = [replace(e, fold=1, split=TURNED[e.split]) for e in protocol.entries]
    folds = Protocol(protocol.classes, [*protocol.entries, *turned])
    write_protocol(paths.protocol("toy"), folds)
    assert train(seeds=(1,)) == [1]
    assert train(seeds=(1,)) == []


@pytest.mark.slow
def test_another_corpus_leaves_the_first_one_alone(train: Callable[..., list[int]]) -> None:
    lay_out("other", seed=1)
    assert train("other") == [1, 2]
    assert train() == []


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_labels_of_train_and_valid_decide_a_run_and_those_of_test_do_not(
    train: Callable[..., list[int]], split: str
) -> None:
    protocol = read_protocol(paths.protocol("toy"))
    changed = [
        replace(e, label=((e.label or 0) + 1) % 7) if e.split == split else e
        for e in protocol.entries
    ]
    write_protocol(paths.protocol("toy"), Protocol(protocol.classes, changed))
    assert train() == ([] if split == "test" else [1, 2])


@pytest.mark.slow
def test_settings_decide_a_run_and_the_number_of_processes_does_not(
    train: Callable[..., list[int]],
) -> None:
    assert train(workers=7) == []
    assert train(threads=2) == [1, 2]
    assert train(learning_rate=0.02) == [1, 2]
    assert train() == [], "those of before are still there"


@pytest.mark.slow
def test_a_comment_trains_nothing_and_code_does(
    train: Callable[..., list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "code"
    shutil.copytree(ROOT / "pipeline", copy / "pipeline")
    monkeypatch.setattr(fingerprint, "ROOT", copy)

    def trained_after(file: str, text: str) -> list[int]:
        with (copy / "pipeline" / file).open("a") as code:
            code.write(text)
        code_digest.cache_clear()
        return train()

    try:
        assert trained_after("training/fit.py", "# A remark.\n") == []
        assert trained_after("training/card.py", "LARGE = 1\n") == [], "it computes no weight"
        assert trained_after("nn/cross_attention.py", "LARGE = 1\n") == [1, 2]
    finally:
        code_digest.cache_clear()


@pytest.mark.slow
def test_a_damaged_run_is_trained_again(train: Callable[..., list[int]], workspace: Path) -> None:
    first = outputs()
    for file in sorted((workspace / "cache/train").rglob("run.pt"))[:1]:
        file.write_bytes(file.read_bytes()[:-100])
    assert len(train()) == 1 and outputs() == first


LOGGED = """
import sys
from pipeline.training.fit import Run
from pipeline.training.train import train_system
from tests.training.toy import toy

whole = Run._epoch

def epoch(run, state):
    with open(sys.argv[1], "a") as log:
        log.write(f"{run.learner.number} ")
    return whole(run, state)

Run._epoch = epoch
train_system(toy(epochs=30, patience=30))
"""


@pytest.mark.slow
def test_two_trainings_at_once_on_one_cache_train_each_run_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "code.py").write_text(LOGGED)
    log, processes, folders = workspace / "log", [], [workspace / "one", workspace / "other"]
    for folder in folders:
        folder.mkdir()
        monkeypatch.chdir(folder)
        lay_out("toy")
        command = [sys.executable, str(workspace / "code.py"), str(log)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen(command, env=environment))
    assert [process.wait() for process in processes] == [0, 0]
    trained = log.read_text().split()
    assert (trained.count("1"), trained.count("2")) == (30, 30)
    written = []
    for folder in folders:
        monkeypatch.chdir(folder)
        written.append(outputs())
    assert written[0] == written[1]


def fill(disk: Path, leaving: int) -> None:
    (disk / "filling").write_bytes(bytes(shutil.disk_usage(disk).free - leaving))


@pytest.mark.slow
@pytest.mark.parametrize("full", ["models", "cache"])
def test_a_full_disk_is_named_whoever_writes(
    train: Callable[..., list[int]],
    workspace: Path,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    full: str,
) -> None:
    first = outputs()
    if full == "models":
        shutil.rmtree("models")
        Path("models").symlink_to(small_disk)
    else:
        monkeypatch.setenv("ERC_CACHE", str(small_disk))
    fill(small_disk, 8_000)
    with pytest.raises(OSError, match="No space left on device") as error:
        train()
    assert str(error.value.filename).endswith(".safetensors" if full == "models" else "run.pt")
    enlarge(small_disk)
    train()
    assert outputs() == first


@pytest.mark.slow
def test_runs_are_listed_and_pruned_with_the_cache(
    train: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(seeds=(1, 2, 3))
    (held,) = (held for held in contents() if held.step == "train")
    assert held.entries == 3 and caches.made_with(held.about) == "corpus toy"
    caches.prune(1.0)
    assert train() == [], "they are in use"
    caches.prune(-1.0)
    assert not [held for held in contents() if held.step == "train"]
    assert train() == [1, 2]
