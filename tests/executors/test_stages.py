"""What each stage hands out can be carried to another process, and changes no byte."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.corpora import inspect
from pipeline.corpora.inspect import inspected
from pipeline.corruption import on_cluster
from pipeline.corruption.corrupted import extractors
from pipeline.corruption.on_cluster import corrupt_on_cluster
from pipeline.executors.cluster import environment
from pipeline.executors.spread import FEWEST, Needs
from pipeline.finetuning import finetune as finetuning
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from pipeline.records.protocol import Entry, Protocol
from pipeline.training import train
from pipeline.training.train import train_system
from tests.corruption.test_corrupted import CORPUS, clean_store, made, set_to
from tests.features.text.test_encoder import bert
from tests.finetuning.tiny import finetune, lay_out_toy
from tests.synthetic import lay_out
from tests.training.toy import outputs, toy

Handed = list[tuple[Needs, int]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Handed]:
    """Has stages hand out their work, which is done here in reverse order; notes how much."""
    handed: Handed = []

    def spread(work: Callable[[Any], Any], items: Sequence[Any], needs: Needs) -> Iterator[Any]:
        handed.append((needs, len(items)))
        for item in reversed(items):
            carried, alone = cloudpickle.loads(cloudpickle.dumps((work, item)))
            before = dict(os.environ)
            os.environ.update(environment())  # as where it would run
            try:
                yield from cloudpickle.loads(cloudpickle.dumps(list(carried(alone))))
            finally:
                os.environ.update(before)

    for module in (inspect, train, finetuning, on_cluster):
        monkeypatch.setattr(module, "spread", spread)
    monkeypatch.setenv("ERC_EXECUTOR", "ray")
    monkeypatch.setenv("ERC_CACHE", "cache")  # as a user has it; nodes are told its whole name
    yield handed
    inspect._kept_looking().close()  # elsewhere its processes would end with their own
    inspect._kept_looking.cache_clear()


def test_files_are_opened_elsewhere_and_told_in_order(
    workspace: Path, cluster: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances = [
        Utterance(f"u{n}", "d", n, "s", "text", None, Segment(f"{n}.wav")) for n in range(40)
    ]
    for n in range(0, 40, 2):
        (workspace / f"{n}.wav").write_bytes(b"no sound" * n)
    there = inspected(utterances, workspace, 60.0, "test")
    assert [(needs.stage, count) for needs, count in cluster] == [("manifest", 3)]
    monkeypatch.delenv("ERC_EXECUTOR")
    assert inspected(utterances, workspace, 60.0, "test") == there
    assert len(cluster) == 1 and len(there[1]) == 40, "half of them absent, half unreadable"


def test_a_few_files_are_opened_here(workspace: Path, cluster: Handed) -> None:
    few = [Utterance(f"u{n}", "d", n, "s", "t", None, Segment(f"{n}.wav")) for n in range(5)]
    _, problems = inspected(few, workspace, 60.0, "test")
    assert len(problems) == 5 < FEWEST and not cluster


@pytest.mark.slow
def test_runs_are_trained_elsewhere_in_the_same_bytes(
    workspace: Path, cluster: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out("toy")
    train_system(toy(seeds=(1, 2, 3)))
    there = outputs()
    ((needs, count),) = cluster
    assert (needs.stage, needs.gpu, count) == ("train", False, 3)
    monkeypatch.delenv("ERC_EXECUTOR")
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    train_system(toy(seeds=(1, 2, 3)))
    assert outputs() == there


@pytest.mark.slow
def test_what_was_trained_is_not_handed_out_again(workspace: Path, cluster: Handed) -> None:
    lay_out("toy")
    train_system(toy())
    train_system(toy())
    assert [count for _, count in cluster] == [2]


@pytest.mark.slow
def test_an_encoder_is_fine_tuned_elsewhere_in_the_same_bytes(
    workspace: Path, cluster: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out_toy()
    there = finetune(epochs=2)
    assert [(needs.stage, count) for needs, count in cluster] == [("finetune", 1)]
    assert finetune(epochs=2) == there and len(cluster) == 1
    monkeypatch.delenv("ERC_EXECUTOR")
    monkeypatch.setenv("ERC_CACHE", str(workspace / "other"))
    assert finetune(epochs=2) == there


def test_corrupted_features_are_made_elsewhere_and_found_here(
    workspace: Path, cluster: Handed
) -> None:
    (workspace / "tiny").mkdir()
    bert(workspace / "tiny")
    set_to("text", encoder="./tiny", context_turns=0)
    rows = [
        Utterance(f"u{n}", "d", n, "s", f"a{n} b{n} c{n} d{n} e{n}", None, None)
        for n in range(FEWEST + 4)
    ]
    write_manifest(paths.manifest(CORPUS), rows, Origin("meld", False))
    del os.environ["ERC_EXECUTOR"]
    store, params = clean_store("text"), read_params()
    os.environ["ERC_EXECUTOR"] = "ray"
    entries = [Entry(0, "test", "d", u.utterance, "s", 0) for u in rows]
    protocol = Protocol(("a", "b"), entries)
    extract = extractors(params, CORPUS, paths.places(CORPUS), ["text"])
    corrupt_on_cluster(params, protocol, CORPUS, {"text": store}, extract, quick=True)
    ((needs, count),) = cluster
    assert needs.stage == "robustness" and count >= 1
    before = made(workspace)
    (dropout,) = (c for c in on_cluster.CORRUPTIONS if c.name == "word dropout")
    there = list(extract["text"](rows, dropout, dropout.steps(quick=True)[0]))
    assert len(there) == len(rows) and made(workspace) == before, "nothing was left to compute"
    corrupt_on_cluster(params, protocol, CORPUS, {"text": store}, extract, quick=True)
    assert len(cluster) == 1, "and nothing to hand out"
