"""The processes that draw the demo's clips."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

ENDLESS = """
import sys, time
from pathlib import Path
from pipeline.demo.clips import render_all

def render(job):
    Path(job).touch()
    time.sleep(600)

if __name__ == "__main__":
    render_all(render, ["0", "1"], 2, "endless")
"""


@pytest.mark.slow
def test_they_end_when_the_stage_is_killed(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "endless.py"], cwd=tmp_path, env=environment)
    while not (tmp_path / "1").exists():
        assert parent.poll() is None
        time.sleep(0.05)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    assert len(children) >= 2 and not psutil.wait_procs(children, timeout=30)[1]
