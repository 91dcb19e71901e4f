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
from pipeline.report.blocks import Points, Row, Section, Table, Text
from pipeline.report.words import listed, many

# Files that a run writes and git keeps.
WRITTEN = ("dvc.lock", "metrics/")
NAMED = 5
ORDER = ("demo", "weights", "manifest", "protocol", "frames", "visual", "audio", "text", "train")


TITLE = "This run and what it cost"
LEFT_OUT = Section(
    "costs",
    TITLE,
    (
        Text(
            "Commit, date, machine, and the time and memory of each stage differ from run to run, "
            "so they are not on this page but in `report.html` beside it, with all figures drawn. "
            "Git ignores that file; the last command below writes it."
        ),
    ),
)


@dataclass(frozen=True)
class Circumstances:
    """Circumstances of writing a report.

    Attributes:
        commit: The commit checked out, None without a repository or a commit.
        changed: Tracked files that differ from it, except those that a run writes.
        written: Date and time.
        machine: CPU, cores, system and interpreter.
        costs: Costs by stage.
    """

    commit: str | None
    changed: tuple[str, ...]
    written: str
    machine: str
    costs: Mapping[str, Cost]


def circumstances(corpus: str) -> Circumstances:
    """Collect the present circumstances."""
    cpu = f"{cpu_model()}, {many(os.cpu_count() or 1, 'core')}"
    system = f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}"
    return Circumstances(
        commit=_git("rev-parse", "HEAD").strip() or None,
        changed=tuple(_changed()),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        machine=f"{cpu}; {system}",
        costs=read_costs(corpus),
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


def section(run: Circumstances) -> Section:
    """The commit, the machine and a table of costs."""
    points = (f"commit: {_commit(run)}", f"written: {run.written}", f"machine: {run.machine}")
    costs = _costs(run.costs) if run.costs else Text("No stage has run in this folder yet.")
    return Section("costs", TITLE, (Points(points), costs))


def _commit(run: Circumstances) -> str:
    if run.commit is None:
        return "none, this is not a git repository with a commit"
    if not run.changed:
        return f"`{run.commit}`, without uncommitted changes except a run's own outputs"
    more = len(run.changed) - NAMED
    names = [*run.changed[:NAMED], *([f"{more} more"] if more > 0 else [])]
    return f"`{run.commit}`, with uncommitted changes in {listed(names)}"


def _costs(costs: Mapping[str, Cost]) -> Table:
    names: Sequence[str] = sorted(costs, key=_order)
    rows = [Row((name, _time(costs[name].seconds), _memory(costs[name]))) for name in names]
    total = sum(cost.seconds for cost in costs.values())
    most = max(costs.values(), key=lambda cost: cost.peak_megabytes)
    return Table(
        "Time and memory by stage",
        ("stage", "time", "peak memory"),
        (*rows, Row(("all", _time(total), _memory(most)), strong=True)),
        "lrr",
        (
            "From the last time each stage ran in this folder, in wall-clock time, which other "
            "work on the machine lengthens. A stage that DVC skipped or restored shows its "
            "previous run; the stages that extract features are faster when the clip cache is "
            "warm. Memory is the peak of a stage's largest process.",
        ),
    )


def _order(name: str) -> tuple[int, str]:
    stage = name.partition("-")[0]
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), name)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def _memory(cost: Cost) -> str:
    return f"{cost.peak_megabytes:,.0f} MiB"
