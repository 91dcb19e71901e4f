"""What differs from run to run: the commit, the date, the machine, and what each stage cost.

None of it may enter a file that git or DVC keeps, or the same results would differ from run to run.
"""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.base.costs import Cost, read_costs
from pipeline.base.machine import cpu_model
from pipeline.report.blocks import Block, Points, Row, Section, Table, Text
from pipeline.report.words import listed, many

# What a run itself writes and git keeps.
WRITTEN = ("dvc.lock", "metrics/")
NAMED = 5
ORDER = ("demo", "weights", "manifest", "protocol", "frames", "visual", "audio", "text", "train")


TITLE = "This run and what it cost"
LEFT_OUT = Section(
    "costs",
    TITLE,
    (
        Text(
            "Commit, date, machine, and time and memory of each stage differ from run to run, so "
            "they are not on this page: `report.html` beside it holds them, with all figures "
            "drawn. Git does not keep that file; the last command below writes it."
        ),
    ),
)


@dataclass(frozen=True)
class Circumstances:
    """Of one writing of a report.

    Attributes:
        commit: What git has checked out, None where there is no repository or no commit.
        changed: Tracked files that differ from it, without those that a run writes.
        written: Date and time.
        machine: CPU, cores, system and interpreter.
        costs: By stage.
    """

    commit: str | None
    changed: tuple[str, ...]
    written: str
    machine: str
    costs: Mapping[str, Cost]


def circumstances(corpus: str) -> Circumstances:
    """Those of this moment."""
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
        # Two letters and a space; a renamed file's old name stands in an entry of its own.
        path = entry[3:] if entry[2:3] == " " else ""
        if path and not path.startswith(WRITTEN):
            yield path


def _git(*words: str) -> str:
    """What a command of git prints, "" if there is no git, no repository or no commit."""
    command = ["git", "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def section(found: Circumstances) -> Section:
    """The commit, the machine and a table of costs."""
    blocks: list[Block] = [
        Points(
            (f"commit: {_commit(found)}", f"written: {found.written}", f"machine: {found.machine}")
        )
    ]
    if found.costs:
        blocks.append(_costs(found.costs))
    else:
        blocks.append(Text("No stage has been run in this folder, so nothing is known of costs."))
    return Section("costs", TITLE, tuple(blocks))


def _commit(found: Circumstances) -> str:
    if found.commit is None:
        return "none, this is not a git repository with a commit"
    if not found.changed:
        return f"`{found.commit}`, without changes but for what a run writes"
    more = len(found.changed) - NAMED
    named = [*found.changed[:NAMED], *([f"{more} more"] if more > 0 else [])]
    return f"`{found.commit}`, with changes that are not committed in {listed(named)}"


def _costs(costs: Mapping[str, Cost]) -> Table:
    names: Sequence[str] = sorted(costs, key=_place)
    rows = [Row((name, _time(costs[name].seconds), _memory(costs[name]))) for name in names]
    total = sum(cost.seconds for cost in costs.values())
    most = max(costs.values(), key=lambda cost: cost.peak_megabytes)
    return Table(
        "Time and memory by stage",
        ("stage", "time", "peak memory"),
        (*rows, Row(("all", _time(total), _memory(most)), strong=True)),
        "lrr",
        (
            "Of the last time each stage ran in this folder, by the clock and on what else this "
            "machine was doing. A stage that DVC skipped or restored shows the run before; the "
            "stages that extract features are shorter when the clip cache is warm. Memory is the "
            "sum over a stage's processes, which counts what they share more than once.",
        ),
    )


def _place(name: str) -> tuple[int, str]:
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
