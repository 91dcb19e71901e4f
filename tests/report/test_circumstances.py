"""Circumstances of a run: commit, uncommitted changes, and costs of the stages."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.base import machine
from pipeline.base.params import read_params
from pipeline.report.circumstances import Circumstances, circumstances
from pipeline.report.page import markdown_of
from pipeline.report.pictures import pictures
from pipeline.report.read import read_results
from tests.report.small import Corpus, lay_out

Section = Callable[[Circumstances], str]
BARE = Circumstances(None, (), "now", "here", {})


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> Section:
    """The section on a run, of a page of small results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("results"))
        lay_out(Corpus())
        results = read_results(read_params(), "demo_meld")
        drawn = list(pictures(results))
    title = "## This run and what it cost"
    return lambda run: markdown_of(results, drawn, run).partition(title)[2]


def git(*words: str) -> str:
    result = subprocess.run(["git", *words], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_the_commit_and_what_is_not_in_it(workspace: Path, section: Section) -> None:
    assert circumstances("c").commit is None
    git("init", "-q")
    assert circumstances("c").commit is None
    none = "- Commit: none, this is not a git repository with a commit\n- Written: now"
    assert none in section(BARE)
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
    assert f"- Commit: `{commit}`, {ending}\n" in section(circumstances("c"))
    Path("params.yaml").write_text("2")
    git("mv", "old name", "new name")
    ending = "with uncommitted changes in new name and params.yaml"
    assert f"- Commit: `{commit}`, {ending}\n" in section(circumstances("c"))


def test_the_machine_is_named_by_its_cpu(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cpuinfo").write_text("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: avx2\n")
    monkeypatch.setattr(machine, "CPUINFO", Path("cpuinfo"))
    monkeypatch.setattr(machine.sys, "platform", "linux")
    assert circumstances("c").machine.startswith("AMD EPYC 7B13, ")
    Path("cpuinfo").write_text("processor : 0\nBogoMIPS : 50\n")  # as on ARM
    assert circumstances("c").machine.split(",")[0]


def test_many_changes_are_counted(section: Section) -> None:
    run = replace(BARE, commit="c" * 40, changed=tuple("abcdefgh"))
    assert "uncommitted changes in a, b, c, d, e and 3 more\n" in section(run)


def test_costs_in_the_order_of_the_stages(workspace: Path, section: Section) -> None:
    folder = Path("data/costs/c")
    folder.mkdir(parents=True)
    costs = {
        "evaluate-mcn_cl": (3.04, 100.0),
        "weights-text": (0.5, 50.0),
        "train-mcn_cl": (3725.0, 1200.0),
        "demo": (75.0, 300.0),
        "train": (9.0, 9.0),  # of an earlier version
        "train-gone": (9.0, 9.0),  # of a system that is no longer run
    }
    for name, (seconds, memory) in costs.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps({"seconds": seconds, "peak_megabytes": memory}))
    page = section(circumstances("c", ["mcn_cl"]))
    rows = [line.replace("*", "") for line in page.splitlines() if line.startswith("| ")]
    assert rows == [
        "| stage | time | peak memory |",
        "| demo | 1 min 15 s | 300 MiB |",
        "| weights-text | 0.5 s | 50 MiB |",
        "| train-mcn_cl | 1 h 02 min | 1,200 MiB |",
        "| evaluate-mcn_cl | 3.0 s | 100 MiB |",
        "| all | 1 h 03 min | 1,200 MiB |",
    ]


def test_no_cost_is_known(section: Section) -> None:
    assert "No stage has run in this folder yet." in section(BARE)
