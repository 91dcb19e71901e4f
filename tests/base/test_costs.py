"""What a stage cost: the peak of its largest process, kept only if it ended well."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.base import costs
from pipeline.base.costs import (
    FOLDER,
    Cost,
    Timing,
    measured,
    read_costs,
    read_timings,
    spent_elsewhere,
    write_timing,
)
from pipeline.base.workers import isolated
from pipeline.report.words import cost
from tests.conftest import ROOT

MEGABYTES = 200


def fill(megabytes: int) -> int:
    return len(bytearray(megabytes * 2**20))


def alone(megabytes: int) -> None:
    """A stage that takes memory itself."""
    with measured("alone", "toy"):
        fill(megabytes)
        time.sleep(1.0)


def beside(megabytes: int) -> None:
    """A stage with a process of its own that takes memory."""
    with measured("beside", "toy"):
        list(isolated(fill, [(0, megabytes)]))


def run(stage: str, megabytes: int) -> Cost:
    """Runs one of them in a small process."""
    call = f"if __name__ == '__main__':\n    {stage}({megabytes})\n"
    Path("small.py").write_text(f"from tests.base.test_costs import {stage}\n{call}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "small.py"], env=environment, check=True)
    return read_costs("toy")[stage]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["alone", "beside"])
def test_the_memory_of_its_largest_process_counts(workspace: Path, stage: str) -> None:
    small, large = run(stage, 0), run(stage, MEGABYTES)
    assert large.peak_megabytes == pytest.approx(small.peak_megabytes + MEGABYTES, rel=0.2)
    assert list(read_costs("toy")) == [stage] and read_costs("other") == {}


@pytest.mark.slow
def test_time_counts_and_the_memory_of_what_started_it_does_not(workspace: Path) -> None:
    held = bytearray(4 * MEGABYTES * 2**20)
    held[::4096] = held[1::4096]
    cost = run("alone", 0)
    assert cost.peak_megabytes < 2 * MEGABYTES < len(held)
    assert 1.0 <= cost.seconds < 60


def test_a_stage_that_failed_leaves_the_figures_of_the_run_before(workspace: Path) -> None:
    with measured("work", "toy"):
        time.sleep(0.2)
    before = (FOLDER / "toy/work.json").read_bytes()
    with pytest.raises(ValueError), measured("work", "toy"):
        raise ValueError
    assert (FOLDER / "toy/work.json").read_bytes() == before


def test_a_damaged_file_is_passed_over(workspace: Path) -> None:
    write_timing("toy", "mcn_cl", Timing(12.5, 3.0))
    write_timing("toy", "other", Timing(1.0, 2.0))
    for name, text in (("cut.json", '{"train_sec'), ("old.json", '{"hours": 1}'), ("n.json", "7")):
        (FOLDER / "toy/systems" / name).write_text(text)
    assert read_timings("toy") == {"mcn_cl": Timing(12.5, 3.0), "other": Timing(1.0, 2.0)}
    assert read_costs("toy") == {}


def test_what_ran_on_a_cluster_is_added_up(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_elsewhere", costs._Elsewhere())
    with measured("audio", "toy"):
        for host in ("a", "b", "a"):
            spent_elsewhere(host, 30.0, 10**9)
    found = read_costs("toy")["audio"]
    assert (found.spread_seconds, found.hosts, found.peak_megabytes) == (90.0, 2, 10**9)
    assert cost(found).endswith("; its items 1 min 30 s together, on 2 machines")
    assert cost(Cost(90.0, 1)) == "1 min 30 s"
