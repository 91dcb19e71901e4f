"""Ctrl-C in a real training: one line, no process left, and it resumes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil
import pytest

from pipeline.base import paths
from tests.conftest import PARAMS, ROOT
from tests.synthetic import lay_out

CORPUS, SYSTEM = "demo_meld", "mcn_cl"
COMMAND = [sys.executable, "-m", "stages.train", CORPUS, SYSTEM]


@pytest.fixture
def environment(workspace: Path) -> dict[str, str]:
    """A small corpus and settings that train for minutes, in two processes."""
    lay_out(CORPUS)
    text = PARAMS.read_text(encoding="utf-8")
    text = re.sub(r"\b(epochs|patience): \d+", r"\1: 1000", text)
    Path("params.yaml").write_text(text)
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def started(
    environment: dict[str, str], output: "int | IO[str]" = subprocess.PIPE
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        COMMAND,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as in a terminal: the signal goes to the whole group
    )


def rows() -> int:
    file = paths.metrics(CORPUS, SYSTEM, "history.csv")
    return file.read_text().count("\n") if file.exists() else 0


def resumed() -> list[str]:
    """The seeds that have said from which epoch they go on."""
    pattern = r"  fold 0 seed (\d): resumes at epoch \d+\n"
    return sorted(re.findall(pattern, Path("output").read_text()))


def states() -> list[Path]:
    return list((Path(os.environ["ERC_CACHE"]) / "train").rglob("run.pt"))


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def children(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def interrupted(process: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C; give the standard error once the process and all below it have ended."""
    family = children(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert not psutil.wait_procs(family, timeout=10)[1], "no process is left"
    assert "Traceback" not in err
    return err


@pytest.mark.slow
def test_an_interrupted_training_ends_in_one_line_and_resumes(environment: dict[str, str]) -> None:
    first = started(environment)
    try:
        wait_for(lambda: rows() > 4 and len(states()) == 2, first)
        *_, last = interrupted(first).strip().splitlines()
    finally:
        first.kill()
    assert first.returncode == 130
    assert last == "train demo_meld mcn_cl: interrupted. Run again: it resumes."
    assert not list(Path().rglob("*.part"))
    done = rows()
    with Path("output").open("w") as output:
        second = started(environment, output)
    try:
        wait_for(lambda: rows() > done and resumed() == ["1", "2"], second)
        family = children(second)
        second.kill()
        assert not psutil.wait_procs(family, timeout=30)[1], "killed, it leaves no process either"
    finally:
        second.kill()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 3])  # while it imports; while its processes import
def test_an_interrupted_start_leaves_no_traceback(
    environment: dict[str, str], processes: int
) -> None:
    process = started(environment)
    try:
        time.sleep(1.0)
        wait_for(lambda: len(children(process)) >= processes, process)
        interrupted(process)
    finally:
        process.kill()
    assert process.returncode in (130, -signal.SIGINT)
