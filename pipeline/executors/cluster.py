"""The work of `spread` on a Ray cluster: one that RAY_ADDRESS names, or this machine alone.

Ray only carries: it starts processes, gives each its GPU, and tells which nodes live. What a broken
clip does to a process is seen below it, where the item runs; what a lost process or node does to an
item is decided here.
"""

import os
import secrets
import socket
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.base.arithmetic import PINS
from pipeline.base.costs import spent_elsewhere
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder
from pipeline.base.paths import CACHE, cache_root
from pipeline.base.stage import lower
from pipeline.base.workers import workers
from pipeline.executors import node
from pipeline.executors.spread import EXECUTOR, Needs, Work

T = TypeVar("T")
R = TypeVar("R")
ADDRESS = "RAY_ADDRESS"
OBJECT_STORE = 100 * 2**20  # bytes: what passes through it is small
DEATHS = 5  # of processes that one item may cause
AHEAD = 2  # items handed out for each place
SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_BETWEEN_COMPLAINTS = 60.0
SECONDS_TO_ANSWER = 120.0
SECONDS_TO_LISTEN = 10.0
# What else decides how an item is computed.
ENVIRONMENT = (*PINS, "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUBLAS_WORKSPACE_CONFIG")


def ray() -> Any:
    """Ray, which says nothing to its makers and does not lower the priority of what it runs.

    Raises:
        PipelineError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Or it refuses what a job's own environment says as well.
    os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    try:
        import ray
    except ImportError as error:
        raise PipelineError(
            f"{EXECUTOR} is ray, which is not installed: `pip install '.[cluster]'`."
        ) from error
    return ray


def environment() -> dict[str, str]:
    """What an item's process finds in its environment, before any library is loaded."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("ERC_")}
    given = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {
        # Ray would set 1, and the order of sums in some libraries depends on it.
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        **given,
        **ours,
        CACHE: str(cache_root().absolute()),
        EXECUTOR: "processes",
    }


@dataclass(frozen=True)
class Cluster:
    """A connection whose nodes were found to be alike."""

    ray: Any
    told: node.Told

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The nodes that live, by id."""
        return {one["NodeID"]: one for one in self.ray.nodes() if one["Alive"]}


@contextmanager
def connected(needs: Needs) -> Iterator[Cluster]:
    """Connect, compare the nodes with this machine and each other, and disconnect in the end.

    Raises:
        PipelineError: There is no such cluster, or a node is not like the others.
    """
    library, address = ray(), os.environ.get(ADDRESS)
    _check_answers(address)
    own = {} if address else {"num_cpus": workers(), "object_store_memory": OBJECT_STORE}
    try:
        library.init(
            address=address or "local",
            runtime_env={"env_vars": environment()},
            **({"logging_level": "ERROR", "log_to_driver": False} | own),
        )
    except (ConnectionError, RuntimeError, ValueError, library.exceptions.RayError) as error:
        library.shutdown()
        where = f"at {ADDRESS}={address}" if address else "on this machine"
        raise PipelineError(f"no Ray cluster answers {where}: {error}") from error
    cache_root().mkdir(parents=True, exist_ok=True)
    try:
        with scratch_folder("cluster", cache_root().absolute()) as scratch:
            (scratch / secrets.token_hex(8)).touch()
            seen = [scratch, *([needs.reads.absolute()] if needs.reads else [])]
            sights = tuple(node.Sight(str(path), node.names_in(str(path))) for path in seen)
            told = node.Told(str(Path.cwd()), sights, node.facts())
            yield Cluster(library, _compared(library, told, needs.gpu))
    finally:
        library.shutdown()


def _check_answers(address: str | None) -> None:
    """Refuse an address at which nobody listens; Ray itself would ask for minutes.

    Raises:
        PipelineError: There is nobody.
    """
    host, _, port = (address or "").rpartition(":")
    if port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), SECONDS_TO_LISTEN).close()
        except (OSError, OverflowError) as error:
            raise PipelineError(
                f"no Ray cluster answers at {ADDRESS}={address} ({error}): `ray start --head` "
                "starts one, and prints its address."
            ) from error


def _compared(library: Any, told: node.Told, gpu: bool) -> node.Told:
    """Ask each node what it is; items are then told the CPU, and GPU, of those that compute."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    looking = library.remote(num_cpus=0)(node.look)
    living = [one for one in library.nodes() if one["Alive"]]
    asked = [
        looking.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(one["NodeID"], soft=False)
        ).remote(told)
        for one in living
    ]
    computing: node.Facts | None = None
    for one, reference in zip(living, asked, strict=True):
        try:
            host, there, why = library.get(reference, timeout=SECONDS_TO_ANSWER)
        except library.exceptions.RayError as error:
            host = one["NodeManagerHostname"]
            raise PipelineError(
                f"the node {host} of the cluster does not answer: {error}"
            ) from None
        wrong = [why] if there is None else node.differences(told.facts.anywhere, there)
        cpus, gpus = _resources(one)
        if there is not None and cpus and (gpus or not gpu):
            there = there if gpu else replace(there, gpu="")
            computing = computing or there
            wrong = wrong or node.differences(computing, there)
        if wrong:
            raise PipelineError(node.unlike(host, wrong))
    return replace(told, facts=computing or told.facts.anywhere)


def spread_on_cluster(
    work: Work[T, R], items: Sequence[T], needs: Needs
) -> Generator[R, None, None]:
    """As `spread`; items that a lost process or node had are handed out again."""
    if not items:
        return
    with connected(needs) as cluster:
        yield from _Dealer(cluster, work, items, needs).results()


@dataclass
class _Out:
    """An item that is handed out: its number, and the node where it began."""

    number: int
    node: str = ""
    given_up: bool = False


class _Dealer:
    """Hands items out until each has ended once."""

    def __init__(
        self, cluster: Cluster, work: Work[Any, Any], items: Sequence[Any], needs: Needs
    ) -> None:
        self._cluster, self._ray, self._needs = cluster, cluster.ray, needs
        self._work, self._items = work, items
        self._waiting = deque(range(len(items)))
        self._out: dict[Any, _Out] = {}
        self._ended: set[int] = set()
        self._deaths: Counter[int] = Counter()
        self._nodes = cluster.nodes()
        self._cpus = self._cores_of_an_item()
        # By the decorator's options: those of `.options` would end the process of a GPU's item.
        self._task = self._ray.remote(
            num_cpus=self._cpus, num_gpus=int(needs.gpu), max_retries=0, max_calls=0
        )(_begin)
        self._looked = self._told = time.monotonic()

    def _cores_of_an_item(self) -> int:
        """Those that it asks for, as far as nodes have them; on a GPU, its share of the cores."""
        able = [_resources(one) for one in self._nodes.values()]
        able = [(cpus, gpus) for cpus, gpus in able if cpus and (gpus or not self._needs.gpu)]
        if not able:
            raise PipelineError(self._no_place())
        if self._needs.gpu:
            return max(1, min(cpus // gpus for cpus, gpus in able))
        return min(self._needs.cpus, *(cpus for cpus, _ in able))

    def _places(self) -> int:
        """How many items the nodes have room for at a time."""
        places = 0
        for cpus, gpus in map(_resources, self._nodes.values()):
            places += min(cpus // self._cpus, gpus) if self._needs.gpu else cpus // self._cpus
        return places

    def results(self) -> Iterator[Any]:
        """What items yield; of one that was handed out twice, both may be heard."""
        self._tell()
        while len(self._ended) < len(self._items):
            self._hand_out()
            ready, _ = self._ray.wait(list(self._out), timeout=SECONDS_BETWEEN_LOOKS)
            for one in ready:
                yield from self._heard(one)
            if time.monotonic() - self._looked > SECONDS_BETWEEN_LOOKS:
                self._look_around()

    def _no_place(self) -> str:
        resources = list(map(_resources, self._nodes.values()))
        needs = "one GPU an item, as compute.device says" if self._needs.gpu else "a core"
        return (
            f"The cluster has nodes: {len(resources)}, CPU cores: {sum(c for c, _ in resources)}, "
            f"GPUs: {sum(g for _, g in resources)}; expected {needs}. Start nodes that have it, or "
            "set compute.device: cpu."
        )

    def _tell(self) -> None:
        self._told = time.monotonic()
        say(
            f"{self._needs.stage}: {len(self._ended)} of {len(self._items)} items done; "
            f"nodes: {len(self._nodes)}, places: {self._places()}",
            error=True,
        )

    def _look_around(self) -> None:
        """See which nodes live, say so where it has changed, and give up what was lost."""
        self._looked = time.monotonic()
        before, self._nodes = self._nodes.keys(), self._cluster.nodes()
        waits = not self._places() and self._looked - self._told > SECONDS_BETWEEN_COMPLAINTS
        if before != self._nodes.keys() or waits:  # for a node that may come back
            self._tell()
        for out in list(self._out.values()):
            if out.node and not out.given_up and out.node not in self._nodes:
                out.given_up = True
                self._again(out.number)

    def _again(self, number: int) -> None:
        if number not in self._ended:
            self._waiting.appendleft(number)

    def _hand_out(self) -> None:
        held = sum(not out.given_up for out in self._out.values())
        while self._waiting and held < AHEAD * max(1, self._places()):
            number = self._waiting.popleft()
            lost = any(out.number == number for out in self._out.values())
            told = replace(self._cluster.told, take_over=lost, cpus=self._cpus)
            packed = self._ray.cloudpickle.dumps((self._work, self._items[number]))
            self._out[self._task.remote(packed, told, self._needs.stage)] = _Out(number)
            held += 1

    def _heard(self, one: Any) -> Iterator[Any]:
        out, exceptions = self._out[one], self._ray.exceptions
        try:
            said: node.Said = self._ray.get(next(one))
        except StopIteration:
            del self._out[one]
            return
        except exceptions.RayTaskError:  # nobody foresaw it
            raise
        except exceptions.RayError as error:
            del self._out[one]
            self._lost(out, error)
            return
        if said.kind == "began":
            out.node = said.value
        elif out.number in self._ended or (said.kind == "error" and out.given_up):
            return  # a node that was given up is back
        elif said.kind == "error":
            raise PipelineError(said.value)
        elif said.kind == "result":
            yield said.value
        else:
            self._ended.add(out.number)
            spent_elsewhere(said.value.host, said.value.seconds, said.value.peak_megabytes)

    def _lost(self, out: _Out, error: Exception) -> None:
        """Hand an item out again whose process ended; not for ever, if it is the item's fault."""
        if out.given_up:
            return
        self._deaths[out.number] += not out.node or out.node in self._cluster.nodes()
        if self._deaths[out.number] >= DEATHS:
            host = self._nodes.get(out.node, {}).get("NodeManagerHostname", "a node")
            raise PipelineError(
                f"An item of this stage ended its process {DEATHS} times, the last time on "
                f"{host}; too little memory is the usual reason{lower(self._needs.stage)}. "
                f"Run again: it resumes. ({str(error).partition(chr(10))[0]})"
            )
        self._again(out.number)


def _resources(one: dict[str, Any]) -> tuple[int, int]:
    """CPU cores and GPUs of a node."""
    return int(one["Resources"].get("CPU", 0)), int(one["Resources"].get("GPU", 0))


def _begin(packed: bytes, told: node.Told, stage: str) -> Iterator[node.Said]:
    """The task of Ray."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    yield from node.carry_out(packed, told, here, stage)
