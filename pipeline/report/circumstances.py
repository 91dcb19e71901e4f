"""Circumstances of a run: commit, date, machine, and the cost of each stage.

They differ from run to run, so they enter no file that git or DVC keeps.
"""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.base.costs import Cost, read_costs
from pipeline.base.machine import cpu_model
from pipeline.report.words import many

# Files that a run writes and git keeps.
WRITTEN = ("dvc.lock", "metrics/")
ORDER = ("demo", "weights", "manifest", "protocol", "frames", "visual", "audio", "text", "train")


@dataclass(frozen=True)
class Circumstances:
    """Circumstances of writing a report.

    Attributes:
        commit: The commit checked out, None without a repository or a commit.
        changed: Tracked files that differ from it, except those that a run writes.
        written: Date and time.
        machine: CPU, cores, system and interpreter.
        costs: Costs by stage, in the order of the stages.
    """

    commit: str | None
    changed: tuple[str, ...]
    written: str
    machine: str
    costs: Mapping[str, Cost]


def circumstances(corpus: str, systems: Sequence[str] = ()) -> Circumstances:
    """Collect the present circumstances; what systems cost that are no longer run is left out."""
    cpu = f"{cpu_model()}, {many(os.cpu_count() or 1, 'core')}"
    system = f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}"
    costs = {name: cost for name, cost in read_costs(corpus).items() if _runs(name, systems)}
    return Circumstances(
        commit=_git("rev-parse", "HEAD").strip() or None,
        changed=tuple(_changed()),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        machine=f"{cpu}; {system}",
        costs={name: costs[name] for name in sorted(costs, key=_order)},
    )


def _changed() -> Iterator[str]:
    for entry in _git("status", "--porcelain", "--untracked-files=no", "-z").split("\0"):
        # Two letters and a space; the old name of a renamed file is an entry of its own.
        path = entry[3:] if entry[2:3] == " " else ""
        if path and not path.startswith(WRITTEN):
            yield path


def _git(*words: str) -> str:
    """Output of a git command, "" without git, a repository or a commit."""
    command = ["git", "--no-optional-locks", *words]
    try:
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return ""
    return result.stdout if result.returncode == 0 else ""


def _order(name: str) -> tuple[int, str]:
    stage = name.partition("-")[0]
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), name)


def _runs(name: str, systems: Sequence[str]) -> bool:
    """Whether a stage is still there: files of those that are gone stay in the folder."""
    stage, _, system = name.partition("-")
    return stage not in ("train", "evaluate") or system in systems
