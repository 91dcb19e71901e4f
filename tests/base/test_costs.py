"""What a stage cost: its own memory and that of its processes, kept only if it ended well."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.base.costs import FOLDER, measured, read_costs

MEGABYTES = 200
FILLED = f"import time; held = bytearray({MEGABYTES} * 2**20); time.sleep(1.5)"


def test_time_and_memory_of_its_processes_count(workspace: Path) -> None:
    with measured("nothing", "toy"):
        pass
    with measured("work", "toy"):
        subprocess.run([sys.executable, "-c", FILLED], check=True)
    costs = read_costs("toy")
    assert list(costs) == ["nothing", "work"] and read_costs("other") == {}
    assert 1.5 <= costs["work"].seconds < 60
    assert costs["work"].peak_megabytes > costs["nothing"].peak_megabytes + 0.9 * MEGABYTES


def test_a_stage_that_failed_leaves_the_figures_of_the_run_before(workspace: Path) -> None:
    with measured("work", "toy"):
        time.sleep(0.2)
    before = (FOLDER / "toy/work.json").read_bytes()
    with pytest.raises(ValueError), measured("work", "toy"):
        raise ValueError
    assert (FOLDER / "toy/work.json").read_bytes() == before
