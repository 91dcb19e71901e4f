"""Where work runs: in processes of this machine, or on a Ray cluster.

The choice is the environment's, ERC_EXECUTOR, not a setting: it changes no byte of any result, so
no stage runs again because of it.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pipeline.base.errors import PipelineError

EXECUTOR = "ERC_EXECUTOR"
EXECUTORS = ("processes", "ray")
T = TypeVar("T")
R = TypeVar("R")
# A function of a module: other processes import it by name.
Work = Callable[[T], Iterable[R]]


@dataclass(frozen=True)
class Needs:
    """What an item of work takes.

    Attributes:
        stage: Whose work it is.
        workers: Processes on this machine; a cluster has as many as it has room for.
        cpus: Cores that it computes on.
        gpu: Whether it needs a GPU, of which it gets one for itself.
        preload: Modules that this machine imports once for all processes, beside the work's.
        reads: A folder that may be a link to outside of the project, and that nodes must see.
    """

    stage: str
    workers: int = 1
    cpus: int = 1
    gpu: bool = False
    preload: tuple[str, ...] = ()
    reads: Path | None = None


# Pieces of work of an item; and items of a corpus that is large enough, so that nodes end together.
FEWEST, MOST, ITEMS = 16, 256, 64


def pieces_of_item(pieces: int) -> int:
    """How many of so many pieces of work an item has, such as clips."""
    return min(MOST, max(FEWEST, pieces // ITEMS))


def on_cluster() -> bool:
    """Whether the environment chooses Ray.

    Raises:
        PipelineError: It chooses an executor that does not exist.
    """
    chosen = os.environ.get(EXECUTOR) or EXECUTORS[0]
    if chosen not in EXECUTORS:
        raise PipelineError(f"{EXECUTOR}: got {chosen!r}, expected one of {list(EXECUTORS)}")
    return chosen == "ray"


def worth_a_cluster(lacking: Iterable[Any], needs: Needs) -> bool:
    """Whether a cluster is chosen, and so much is `lacking` that it pays to ask it.

    It does for one piece that needs a GPU, which this machine may not have. No more is looked for
    than decides it: some network disks call absent, for a while, what was looked for too early.
    """
    if not on_cluster():
        return False
    least = 1 if needs.gpu else FEWEST
    return len(list(islice(lacking, least))) == least


def spread(work: Work[T, R], items: Sequence[T], needs: Needs) -> Generator[R, None, None]:
    """Run `work` on each item in other processes; yield what it yields, as it comes.

    What one item yields keeps its order, unless a cluster had to hand it out again: then it may
    come twice. So what is yielded says what it belongs to, and is harmless to hear again.

    Raises:
        PipelineError: One that an item raised, or a process died.
    """
    if on_cluster():
        # Here, so that nobody else needs Ray or waits for it.
        from pipeline.executors.cluster import spread_on_cluster

        return spread_on_cluster(work, items, needs)
    from pipeline.executors.processes import in_processes

    return in_processes(work, items, needs)
