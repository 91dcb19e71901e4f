"""Where work runs, and in which pieces."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.executors.spread import Needs, on_cluster, pieces_of_item, spread


@pytest.mark.parametrize(("value", "ray"), [("", False), ("processes", False), ("ray", True)])
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, value: str, ray: bool) -> None:
    monkeypatch.setenv("ERC_EXECUTOR", value)
    assert on_cluster() is ray
    monkeypatch.delenv("ERC_EXECUTOR")
    assert not on_cluster()


def test_an_executor_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_EXECUTOR", "slurm")
    with pytest.raises(PipelineError, match=r"ERC_EXECUTOR: got 'slurm', expected one of"):
        on_cluster()


@pytest.mark.parametrize(
    ("pieces", "each"), [(1, 16), (345, 16), (13_708, 214), (16_384, 256), (1_000_000, 256)]
)
def test_a_large_corpus_has_many_items_and_none_is_long(pieces: int, each: int) -> None:
    assert pieces_of_item(pieces) == each


def test_no_stage_depends_on_the_choice() -> None:
    """Changing it runs nothing again: it is the environment's, and in no settings."""
    root = Path(__file__).parents[2]
    assert "executor" not in (root / "params.yaml").read_text(encoding="utf-8").lower()


def seen(name: str) -> Iterator[tuple[str | None, int, bool]]:
    """A variable of the environment, this process' parent, and whether a module is imported."""
    yield os.environ.get(name), os.getppid(), "this" in sys.modules


def test_processes_are_copies_of_one_and_have_the_environment_of_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs = Needs("train", workers=2, preload=("this",))
    monkeypatch.setenv("ERC_ONE", "before")
    first = list(spread(seen, ["ERC_ONE", "ERC_ONE"], needs))
    monkeypatch.delenv("ERC_ONE")
    monkeypatch.setenv("ERC_OTHER", "now")
    second = list(spread(seen, ["ERC_ONE", "ERC_OTHER"], replace(needs, workers=1)))
    assert [value for value, *_ in first + second] == ["before", "before", None, "now"]
    assert {(parent, loaded) for _, parent, loaded in first + second} == {(first[0][1], True)}
    assert first[0][1] != os.getpid()
