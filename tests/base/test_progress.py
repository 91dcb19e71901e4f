"""What a long loop shows: lines in a log, a bar on a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from pipeline.base import progress
from tests.conftest import ROOT


class Clock:
    """A time that passes when told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    return clock


def test_a_line_every_fifteen_seconds_with_rate_and_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    def slowly() -> object:
        for number in range(10):
            clock.now += 6.0
            yield number

    assert list(progress.track(slowly(), "count", 10)) == list(range(10))
    assert capsys.readouterr().err.splitlines() == [
        "count: 3/10, 6.0 s each, 0:00:42 left",
        "count: 6/10, 6.0 s each, 0:00:24 left",
        "count: 9/10, 6.0 s each, 0:00:06 left",
    ]


def test_neither_start_up_nor_an_interrupted_run_enters_the_rate(clock: Clock) -> None:
    with progress.progress("train", total=100, done=40) as loop:
        clock.now += 1000.0
        loop.advance("epoch 41")
        assert str(loop) == "41/100, epoch 41"
        clock.now += 0.5
        loop.advance("epoch 42")
        assert str(loop) == "42/100, epoch 42, 2.0/s, 0:00:29 left"
        clock.now += 0.5
        loop.advance("epoch 43", total=50)
        assert str(loop) == "43/50, epoch 43, 2.0/s, 0:00:04 left", "a run stopped early"


def test_a_terminal_shows_a_bar_and_the_note() -> None:
    code = (
        "from pipeline.base.progress import progress\n"
        "with progress('train x', 3, 1) as loop:\n"
        "    loop.advance('fold 0 seed 2 epoch 2: loss 1.5')\n"
    )
    reader, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-c", code]
    subprocess.run(command, stderr=terminal, env=environment, cwd=ROOT, check=True)
    shown = os.read(reader, 100_000).decode()
    assert "train x" in shown and "2/3, fold 0 seed 2 epoch 2: loss 1.5" in shown and "━" in shown
