"""What a node does with an item that it is told to run."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from pipeline.base.errors import PipelineError
from pipeline.base.files import TAKE_OVER, locked
from pipeline.base.workers import workers
from pipeline.executors.node import Said, Sight, Told, carry_out, facts, look, names_in


@pytest.fixture
def told(workspace: Path) -> Told:
    return Told(
        str(workspace), (seen(workspace, "cache", "a"), seen(workspace, "raw", "b")), facts()
    )


def seen(workspace: Path, name: str, file: str) -> Sight:
    (workspace / name).mkdir(exist_ok=True)
    (workspace / name / file).touch()
    names_in.cache_clear()
    return Sight(str(workspace / name), names_in(str(workspace / name)))


def double(item: int) -> Iterator[int]:
    if item < 0:
        raise PipelineError("less than nothing")
    if item == 28:
        raise OSError(28, "No space left on device", "cache/x")
    if item == 13:
        raise ValueError(item)
    yield item
    yield item * 2


def said(told: Told, item: int) -> list[Said]:
    return list(carry_out(cloudpickle.dumps((double, item)), told, "node7", "train"))


def test_results_come_between_the_beginning_and_what_it_cost(told: Told) -> None:
    first, *results, last = said(told, 4)
    assert (first, results) == (Said("began", "node7"), [Said("result", 4), Said("result", 8)])
    assert last.kind == "ended" and last.value.seconds >= 0 and last.value.peak_megabytes > 10


@pytest.mark.parametrize(
    ("item", "words"), [(-1, "less than nothing"), (28, "No space left on device: cache/x")]
)
def test_what_a_user_can_mend_comes_as_words_with_the_hosts_name(
    told: Told, item: int, words: str
) -> None:
    error = said(told, item)[-1]
    assert error.kind == "error" and f"{os.uname().nodename}: {words}" in error.value


def test_what_nobody_foresaw_is_raised(told: Told) -> None:
    with pytest.raises(ValueError, match="13"):
        said(told, 13)


@pytest.mark.parametrize("what", ["python", "code", "cpu", "packages"])
def test_a_node_that_is_not_like_the_others_runs_nothing(told: Told, what: str) -> None:
    """Also one that joined later: each item is told what the nodes are."""
    other = replace(facts(), **{what: {"torch": "1.0"} if what == "packages" else "other"})
    (refused,) = said(replace(told, facts=other), 4)
    assert refused.kind == "error" and os.uname().nodename in refused.value
    assert "expected" in refused.value and "same image or environment" in refused.value


@pytest.mark.parametrize("folder", ["cache", "raw"])
@pytest.mark.parametrize("there", [True, False])
def test_a_node_that_does_not_see_what_the_driver_sees_runs_nothing(
    told: Told, workspace: Path, folder: str, there: bool
) -> None:
    """An empty place where a disk is not mounted would make every clip absent."""
    for file in (workspace / folder).iterdir():
        file.unlink()
    if not there:
        (workspace / folder).rmdir()
    names_in.cache_clear()
    (refused,) = said(told, 4)
    assert f"it does not see {workspace / folder} as the driver does" in refused.value


def test_a_node_without_the_projects_folder_says_so(told: Told, workspace: Path) -> None:
    _, found, why = look(replace(told, folder=str(workspace / "elsewhere")))
    assert found is None and "elsewhere" in why


def test_an_item_may_use_the_cores_that_it_was_given(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERC_WORKERS", "2")
    said(replace(told, cpus=1), 4)
    assert workers() == 1


def test_an_item_that_is_taken_over_waits_for_no_lock(
    told: Told, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first node may be frozen, and hold it for ever."""
    monkeypatch.delenv(TAKE_OVER, raising=False)
    lock = workspace / "lock"
    lock.touch()
    with locked(lock) as held:
        assert held
        list(carry_out(cloudpickle.dumps((double, 1)), replace(told, take_over=True), "n", "train"))
        assert os.environ[TAKE_OVER] == "1"
        with locked(lock) as held_twice:
            assert not held_twice
    said(told, 1)
    assert TAKE_OVER not in os.environ, "the next item waits as always"
