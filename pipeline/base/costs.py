"""Time and memory of each stage's last run.

They differ from run to run, so they are no output of DVC's: they lie in a folder that git and DVC
leave alone, and the report reads them from there.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.base.files import write_text

FOLDER = Path("data/costs")
STATUS = Path("/proc/self/status")
Noted = TypeVar("Noted")
UNITS_PER_MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # Linux counts in KiB


@dataclass(frozen=True)
class Cost:
    """One run of a stage.

    Attributes:
        seconds: By the clock.
        peak_megabytes: The peak memory of its largest process.
        spread_seconds: Those of all items that ran on a cluster, one after another.
        hosts: How many of the cluster's machines they ran on.
    """

    seconds: float
    peak_megabytes: float
    spread_seconds: float = 0.0
    hosts: int = 0


class _Elsewhere:
    """What ran on a cluster for this process."""

    def __init__(self) -> None:
        self.seconds, self.megabytes, self.hosts = 0.0, 0, set[str]()


_elsewhere = _Elsewhere()


def spent_elsewhere(host: str, seconds: float, megabytes: int) -> None:
    """Add what an item cost on another machine to the cost of this process' stage."""
    _elsewhere.seconds += seconds
    _elsewhere.megabytes = max(_elsewhere.megabytes, megabytes)
    _elsewhere.hosts.add(host)


@contextmanager
def measured(name: str, corpus: str) -> Iterator[None]:
    """Measure what runs inside; write `data/costs/CORPUS/NAME.json` if it ends well."""
    start = time.monotonic()
    yield
    cost = Cost(
        round(time.monotonic() - start, 1),
        max(round(_peak() / UNITS_PER_MEGABYTE), _elsewhere.megabytes),
        round(_elsewhere.seconds, 1),
        len(_elsewhere.hosts),
    )
    write_text(FOLDER / corpus / f"{name}.json", json.dumps(asdict(cost)) + "\n")


def _peak() -> int:
    """Peak resident set of the largest process, this one or one of its children that has ended."""
    if server := sys.modules.get("multiprocessing.forkserver"):
        server._forkserver._stop()  # the parent of `isolated`'s processes: only then do they count
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if STATUS.exists():  # Linux carries the peak of DVC, which started this process, over to it
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        own = int(lines["VmHWM"].split()[0])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


@dataclass(frozen=True)
class Timing:
    """Seconds by the clock of a system's runs, means over them."""

    train_seconds: float
    milliseconds_per_dialogue: float


def write_timing(corpus: str, system: str, timing: Timing) -> None:
    """Write `data/costs/CORPUS/systems/SYSTEM.json`."""
    write_text(FOLDER / corpus / "systems" / f"{system}.json", json.dumps(asdict(timing)) + "\n")


def read_costs(corpus: str) -> dict[str, Cost]:
    """The cost of each stage that ran in this folder, by name."""
    return _read(FOLDER / corpus, Cost)


def read_timings(corpus: str) -> dict[str, Timing]:
    """The timing of each system that was trained in this folder, by name."""
    return _read(FOLDER / corpus / "systems", Timing)


def _read(folder: Path, kind: type[Noted]) -> dict[str, Noted]:
    """What the files of a folder hold; a damaged one is passed over, the next run writes it."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            found[file.stem] = kind(**json.loads(file.read_text(encoding="utf-8")))
    return found
