"""Two real nodes on this machine, of which a process, then a node is killed: the same bytes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

CORPUS, SYSTEM = "demo_meld", "mcn_cl"
SMALL = ("--num-cpus=1", "--object-store-memory=104857600", "--disable-usage-stats")
# A lost node is found dead after seconds, not after a minute.
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "2",
}
WRITTEN = {
    "frames": (f"data/frames/{CORPUS}.parquet", f"data/ledgers/{CORPUS}/frames.parquet"),
    "visual": (f"data/features/{CORPUS}/visual.parquet",),
    "audio": (f"data/features/{CORPUS}/audio.parquet", f"data/ledgers/{CORPUS}/audio.parquet"),
    "text": (f"data/features/{CORPUS}/text.parquet",),
    "train": (
        f"data/epochs/{CORPUS}/{SYSTEM}.parquet",
        f"metrics/{CORPUS}/{SYSTEM}/history.csv",
        *(f"models/checkpoints/{CORPUS}/{SYSTEM}/fold0-seed{n}.safetensors" for n in (1, 2, 3)),
    ),
}


class Nodes:
    """Nodes that `ray start` makes, with one core each; only their own processes are ended."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # names of sockets are short
        self.port = next(port for port in range(6400, 9999) if _free(port))
        self.address = f"127.0.0.1:{self.port}"
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **QUICK, "RAY_AUTH_MODE": "disabled"}

    def start(self) -> None:
        """Starts one more; the first is the head."""
        head = ("--head", f"--port={self.port}", "--include-dashboard=false")
        where = (f"--address={self.address}",) if self.started else head
        words = ("start", "--block", *where, *SMALL)
        if not self.started:
            words = (*words, f"--temp-dir={self.folder}")
        log = (self.folder / f"node{len(self.started)}.log").open("wb")
        command = [sys.executable, "-m", "ray.scripts.scripts", *words]
        process = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=log, cwd=self.folder
        )
        self.started.append(process)
        wait_for(lambda: any("raylet" in p.name() for p in self.of(process)))

    def of(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """The processes of a node."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(process.pid).children(recursive=True)
        return []

    def kill(self, number: int) -> None:
        """Ends a node with all that runs on it, as a power cut would."""
        process = self.started[number]
        for one in [*self.of(process), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()

    def freeze(self, number: int) -> list[psutil.Process]:
        """Stops a node in the middle of everything."""
        process = self.started[number]
        frozen = [*self.of(process), psutil.Process(process.pid)]
        for one in frozen:
            one.suspend()
        return frozen

    def kill_worker(self) -> bool:
        """Kills a process that runs an item, if there is one."""
        for node in self.started:
            for process in self.of(node):
                with suppress(psutil.NoSuchProcess):
                    if process.cmdline() and process.cmdline()[0].startswith("ray::_begin"):
                        process.send_signal(signal.SIGKILL)
                        return True
        return False

    def end(self) -> None:
        for number, process in reversed(list(enumerate(self.started))):
            if process.poll() is None:
                self.kill(number)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def wait_for(what: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    both = Nodes()
    try:
        both.start()
        wait_for(lambda: not _free(both.port))
        both.start()
        yield both
    finally:
        both.end()


@pytest.fixture
def folder(reproduced: Path, tmp_path: Path) -> Path:
    """A copy of a run's project, without what the stages write that are to run on the cluster."""
    copy = tmp_path / "project"
    left_out = shutil.ignore_patterns("cache", "costs", ".git", ".dvc", "predictions", "tests")
    shutil.copytree(reproduced, copy, ignore=left_out)
    for names in WRITTEN.values():
        for name in names:
            (copy / name).unlink()
    return copy


def begun(folder: Path, stage: str, nodes: Nodes) -> subprocess.Popen[str]:
    words = [CORPUS, SYSTEM] if stage == "train" else [CORPUS]
    environment = {
        **nodes.environment,
        "RAY_ADDRESS": nodes.address,
        "ERC_EXECUTOR": "ray",
    }
    environment.pop("ERC_CACHE", None)
    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", *words],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def made(folder: Path, stage: str) -> int:
    """Entries of a stage in the cache; of training, runs that have begun."""
    return sum(1 for path in (folder / "data/cache" / stage).glob("*/*/[!.]*"))


def ended(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=180)
    assert process.returncode == 0, printed
    return printed


def same(folder: Path, reproduced: Path, stage: str) -> None:
    for name in WRITTEN[stage]:
        assert (folder / name).read_bytes() == (reproduced / name).read_bytes(), name


def test_all_stages_end_in_the_same_bytes_whoever_is_killed(
    folder: Path, reproduced: Path, nodes: Nodes
) -> None:
    frames = begun(folder, "frames", nodes)
    wait_for(lambda: made(folder, "frames") >= 2)
    assert nodes.kill_worker()
    assert "nodes: 2, places: 2" in ended(frames)
    same(folder, reproduced, "frames")

    audio = begun(folder, "audio", nodes)
    wait_for(lambda: made(folder, "audio") >= 2)
    nodes.kill(1)
    ended(audio)
    same(folder, reproduced, "audio")

    nodes.start()
    for stage in ("visual", "text"):
        ended(begun(folder, stage, nodes))
        same(folder, reproduced, stage)

    train = begun(folder, "train", nodes)
    wait_for(lambda: made(folder, "train") >= 1)
    assert nodes.kill_worker()
    ended(train)
    same(folder, reproduced, "train")


def test_a_frozen_node_and_a_driver_that_is_killed_cost_nothing(
    folder: Path, reproduced: Path, nodes: Nodes
) -> None:
    driver = begun(folder, "frames", nodes)
    wait_for(lambda: made(folder, "frames") >= 2)
    driver.kill()
    driver.communicate()
    before = made(folder, "frames")
    again = begun(folder, "frames", nodes)
    ended(again)
    assert before >= 2
    same(folder, reproduced, "frames")

    audio = begun(folder, "audio", nodes)
    wait_for(lambda: made(folder, "audio") >= 2)
    frozen = nodes.freeze(1)
    try:
        assert "nodes: 1, places: 1" in ended(audio)
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
    same(folder, reproduced, "audio")
