"""What is done when processes and nodes of a cluster are lost: by a Ray that does as it is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipeline.base import costs
from pipeline.base.errors import PipelineError
from pipeline.executors import cluster, node
from pipeline.executors.cluster import DEATHS, Cluster, _Dealer, environment
from pipeline.executors.node import Facts, Said, Spent, Told
from pipeline.executors.spread import Needs
from tests.executors import fake_ray
from tests.executors.fake_ray import FakeRay, RayTaskError, Silent, WorkerCrashedError

FACTS = Facts("3.11.7", "abc", {"torch": "2.14.1"}, "a CPU")
TOLD = Told("/project", (), FACTS)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(costs, "_elsewhere", costs._Elsewhere())


def work(item: int) -> Iterator[int]:
    """Never called here: the fake nodes say what it yields."""
    raise AssertionError(item)


def done(item: int, host: str = "a") -> Iterator[Said]:
    yield Said("began", host)
    yield Said("result", item * 10)
    yield Said("ended", Spent(f"host-{host}", 2.0, 300))


def results(ray: FakeRay, items: list[int], needs: Needs | None = None) -> list[int]:
    return list(_Dealer(Cluster(ray, TOLD), work, items, needs or Needs("audio")).results())


def test_every_item_is_handed_out_once_and_a_few_ahead(capsys: pytest.CaptureFixture[str]) -> None:
    under_way: list[int] = []

    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        under_way.append(item)
        assert len(under_way) <= 4, "two for each of two places"
        yield from done(item)
        under_way.remove(item)

    ray = FakeRay(behave)
    assert sorted(results(ray, list(range(9)))) == [n * 10 for n in range(9)]
    assert ray.tries == 9
    assert "0 of 9 items done; nodes: 1, places: 2" in capsys.readouterr().err
    assert (costs._elsewhere.seconds, costs._elsewhere.hosts) == (18.0, {"host-a"})


def test_an_item_whose_process_was_killed_is_handed_out_again() -> None:
    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        if number == 0:
            yield Said("began", "a")
            raise WorkerCrashedError("the worker died")
        yield from done(item)

    ray = FakeRay(behave)
    assert sorted(results(ray, [1, 2, 3])) == [10, 20, 30]
    assert ray.tries == 4


def test_an_item_that_always_kills_its_process_ends_the_stage_in_words() -> None:
    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        yield Said("began", "a")
        if item == 2:
            raise WorkerCrashedError("exit code 9\nmore")
        yield from done(item)

    ray = FakeRay(behave)
    with pytest.raises(PipelineError, match=r"5 times, the last time on host-a.*lower CORPUS\.vis"):
        results(ray, [1, 2], Needs("visual"))
    assert ray.tries == 1 + DEATHS


def test_a_process_that_dies_before_it_begins_counts_too() -> None:
    """Such as one that the memory's watchman ends while it still imports."""

    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        raise WorkerCrashedError
        yield

    ray = FakeRay(behave)
    with pytest.raises(PipelineError, match="5 times, the last time on a node"):
        results(ray, [1])
    assert ray.tries == DEATHS


def test_a_cluster_that_lost_all_nodes_is_waited_for_and_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_COMPLAINTS", 0.0)
    asked = 0

    def nodes() -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        return [] if 3 < asked < 9 else [fake_ray.node("a")]

    may = lambda: asked > 9  # noqa: E731
    begin = Said("result", 1)
    ray = FakeRay(lambda *_: Saying(begin, may, done(1)), nodes)
    assert results(ray, [1]) == [1, 10]
    assert capsys.readouterr().err.count("nodes: 0, places: 0") >= 3


def test_the_loss_of_a_node_is_not_the_items_fault() -> None:
    """However often: machines of a cluster may be taken away at any time."""
    nodes = [fake_ray.node("a")]

    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        yield Said("began", f"gone{number}" if number < 3 * DEATHS else "a")
        if number < 3 * DEATHS:
            raise WorkerCrashedError("its node died")
        yield Said("ended", Spent("a", 1.0, 1))

    assert results(FakeRay(behave, lambda: nodes), [1]) == []


class Saying:
    """Says `begin`, then the rest as soon as `may` is true."""

    def __init__(self, begin: Said, may: Callable[[], bool], rest: Iterator[Said]) -> None:
        self._begin, self._may, self._rest = [begin], may, rest

    def __iter__(self) -> "Saying":
        return self

    def __next__(self) -> Said:
        if self._begin:
            return self._begin.pop()
        if not self._may():
            raise Silent
        return next(self._rest)


def test_what_a_frozen_node_holds_is_handed_out_again_and_its_lock_is_not_waited_for() -> None:
    """Ray calls it dead after a minute, and leaves its task alone."""
    took_over: list[bool] = []
    living = [fake_ray.node("a"), fake_ray.node("b")]

    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        took_over.append(told.take_over)
        if number == 0:
            del living[1:]
            return Saying(Said("began", "b"), lambda: False, iter(()))
        return done(item)

    assert results(FakeRay(behave, lambda: living), [1]) == [10]
    assert took_over == [False, True]


@pytest.mark.parametrize("then", [Said("ended", Spent("host-b", 500.0, 9)), Said("error", "no")])
def test_an_item_that_has_ended_is_not_heard_again(then: Said) -> None:
    """A node that was given up comes back while others are still at work."""
    ended: list[int] = []
    late = iter([Said("result", 99), then])
    living = [fake_ray.node("a"), fake_ray.node("b")]

    def behave(number: int, item: int, told: Told) -> Iterator[Said]:
        if number == 0:
            del living[1:]
            return Saying(Said("began", "b"), lambda: bool(ended), late)
        if item == 2:
            return Saying(Said("began", "a"), lambda: next(late, None) is None, done(item))
        return _noted(item)

    def _noted(item: int) -> Iterator[Said]:
        yield from done(item)
        ended.append(item)

    assert sorted(results(FakeRay(behave, lambda: living), [1, 2])) == [10, 20]
    assert costs._elsewhere.seconds == 4.0


def test_words_of_an_item_end_the_stage_and_what_nobody_foresaw_is_raised() -> None:
    def words(number: int, item: int, told: Told) -> Iterator[Said]:
        yield Said("began", "a")
        yield Said("error", "host-a: the disk is full")

    with pytest.raises(PipelineError, match="host-a: the disk is full"):
        results(FakeRay(words), [1])

    def fault(number: int, item: int, told: Told) -> Iterator[Said]:
        yield Said("began", "a")
        raise RayTaskError("a fault of ours")

    with pytest.raises(RayTaskError):
        results(FakeRay(fault), [1])


@pytest.mark.parametrize(
    ("nodes", "needs", "cpus", "places"),
    [
        ([("a", 8, 0), ("b", 2, 0)], Needs("text", cpus=4), 2, 5),
        ([("a", 16, 4), ("b", 32, 2), ("c", 8, 0)], Needs("visual", gpu=True), 4, 6),
        ([("head", 0, 0), ("a", 4, 0)], Needs("audio"), 1, 4),
        ([("a", 1, 8)], Needs("visual", gpu=True), 1, 1),
    ],
)
def test_an_item_gets_a_gpu_for_itself_and_its_share_of_the_cores(
    nodes: list[tuple[str, int, int]], needs: Needs, cpus: int, places: int
) -> None:
    told: list[int] = []

    def behave(number: int, item: int, what: Told) -> Iterator[Said]:
        told.append(what.cpus)
        return done(item)

    ray = FakeRay(behave, lambda: [fake_ray.node(*one) for one in nodes])
    dealer = _Dealer(Cluster(ray, TOLD), work, [1], needs)
    assert dealer._places() == places
    assert list(dealer.results()) == [10]
    assert told == [cpus] and ray.options["num_cpus"] == cpus
    assert ray.options["num_gpus"] == int(needs.gpu) and ray.options["max_calls"] == 0


@pytest.mark.parametrize("needs", [Needs("visual", gpu=True), Needs("audio")])
def test_a_cluster_without_what_an_item_needs_is_refused(needs: Needs) -> None:
    nodes = [fake_ray.node("head", cpus=0 if not needs.gpu else 8)]
    with pytest.raises(PipelineError, match=r"nodes: 1, CPU cores: \d, GPUs: 0; expected"):
        results(FakeRay(lambda *_: done(1), lambda: nodes), [1], needs)


def test_what_an_item_finds_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE", "some/cache")
    monkeypatch.setenv("ERC_EXECUTOR", "ray")
    monkeypatch.setenv("ERC_PATIENCE", "7")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = environment()
    assert found["ERC_CACHE"].startswith("/") and found["ERC_CACHE"].endswith("/some/cache")
    assert found["ERC_EXECUTOR"] == "processes", "what runs there starts no cluster again"
    assert (found["ERC_PATIENCE"], found["MKL_CBWR"]) == ("7", "COMPATIBLE")
    assert int(found["OMP_NUM_THREADS"]) >= 1, "not Ray's 1: sums would have another order"
    assert all(isinstance(value, str) for value in found.values()) and "PATH" not in found


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "no.such.host.invalid:6379"])
def test_an_address_where_nobody_listens_is_refused_at_once(address: str) -> None:
    with pytest.raises(PipelineError, match=f"no Ray cluster answers at RAY_ADDRESS={address}"):
        cluster._check_answers(address)


@pytest.mark.parametrize("address", [None, "", "auto", "local", "ray://host:10001"])
def test_other_addresses_are_left_to_ray(address: str | None) -> None:
    cluster._check_answers(address)


def test_what_of_a_node_is_other_is_named() -> None:
    packages = {"torch": "2.13.0", "av": "18.0.0"}
    other = Facts("3.12.1", "abd", packages, "another CPU", "another GPU")
    assert "the GPU 'another GPU', expected 'a GPU'" in node.differences(
        replace(FACTS, gpu="a GPU"), other
    )
    assert node.differences(FACTS, FACTS) == []
    assert node.differences(FACTS.anywhere, other) == [
        "Python '3.12.1', expected '3.11.7'",
        "code with the digest 'abd', expected 'abc'",
        "av 18.0.0, expected none",
        "torch 2.13.0, expected 2.14.1",
    ]
    assert "the CPU 'another CPU', expected 'a CPU'" in node.differences(FACTS, other)
    assert "The node gpu7" in node.unlike("gpu7", ["x"] * 9) and "; and 4 more" in node.unlike(
        "gpu7", ["x"] * 9
    )
