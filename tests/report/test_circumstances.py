"""Circumstances of a run: commit, uncommitted changes, and costs of the stages."""

import json
import subprocess
from pathlib import Path

import pytest

from pipeline.base import machine
from pipeline.report.blocks import Points, Table, Text
from pipeline.report.circumstances import Circumstances, circumstances, section


def git(*words: str) -> str:
    result = subprocess.run(["git", *words], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def commit_line(run: Circumstances) -> str:
    points = section(run).blocks[0]
    assert isinstance(points, Points)
    return points.items[0]


def test_the_commit_and_what_is_not_in_it(workspace: Path) -> None:
    assert (
        commit_line(circumstances("c"))
        == "commit: none, this is not a git repository with a commit"
    )
    git("init", "-q")
    assert (
        commit_line(circumstances("c"))
        == "commit: none, this is not a git repository with a commit"
    )
    git("config", "user.name", "t")
    git("config", "user.email", "t@example.org")
    for name in ("params.yaml", "dvc.lock", "metrics/c/metrics.json", "old name"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("1")
    git("add", "-A")
    git("commit", "-qm", "start")
    commit = git("rev-parse", "HEAD")
    for written in ("dvc.lock", "metrics/c/metrics.json", "nobody knows this"):
        Path(written).write_text("2")
    ending = "without uncommitted changes except a run's own outputs"
    assert commit_line(circumstances("c")) == f"commit: `{commit}`, {ending}"
    Path("params.yaml").write_text("2")
    git("mv", "old name", "new name")
    ending = "with uncommitted changes in new name and params.yaml"
    assert commit_line(circumstances("c")) == f"commit: `{commit}`, {ending}"


def test_the_machine_is_named_by_its_cpu(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cpuinfo").write_text("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: avx2\n")
    monkeypatch.setattr(machine, "CPUINFO", Path("cpuinfo"))
    monkeypatch.setattr(machine.sys, "platform", "linux")
    assert circumstances("c").machine.startswith("AMD EPYC 7B13, ")
    Path("cpuinfo").write_text("processor : 0\nBogoMIPS : 50\n")  # as on ARM
    assert circumstances("c").machine.split(",")[0]


def test_many_changes_are_counted() -> None:
    run = Circumstances("c" * 40, tuple("abcdefgh"), "now", "here", {})
    assert commit_line(run).endswith("uncommitted changes in a, b, c, d, e and 3 more")


def test_costs_in_the_order_of_the_stages(workspace: Path) -> None:
    folder = Path("data/costs/c")
    folder.mkdir(parents=True)
    costs = {
        "evaluate": (3.04, 100.0),
        "weights-text": (0.5, 50.0),
        "train": (3725.0, 1200.0),
        "demo": (75.0, 300.0),
    }
    for name, (seconds, memory) in costs.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps({"seconds": seconds, "peak_megabytes": memory}))
    table = section(circumstances("c")).blocks[1]
    assert isinstance(table, Table)
    assert [row.cells for row in table.rows] == [
        ("demo", "1 min 15 s", "300 MiB"),
        ("weights-text", "0.5 s", "50 MiB"),
        ("train", "1 h 02 min", "1,200 MiB"),
        ("evaluate", "3.0 s", "100 MiB"),
        ("all", "1 h 03 min", "1,200 MiB"),
    ]


def test_no_cost_is_known() -> None:
    run = Circumstances(None, (), "now", "here", {})
    assert section(run).blocks[1] == Text("No stage has run in this folder yet.")
