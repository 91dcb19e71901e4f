"""Work beside the main thread: order, bounded memory, processes that crash, hang or are left."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.base import workers as module
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.workers import Isolation, isolated, ordered_map, patience_for, workers
from tests.conftest import ROOT


def work(item: tuple[str, object]) -> object:
    """Does what the item says."""
    what, value = item
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "crash once" and not Path(str(value)).exists():
        Path(str(value)).touch()
        os._exit(3)
    if what == "hang":
        time.sleep(600)
    if what == "interval":
        start = time.monotonic()
        time.sleep(2.0)
        (Path(str(value)) / str(start)).write_text(f"{start} {time.monotonic()}")
    if what == "touch":
        Path(str(value)).touch()
    if what == "slow":
        time.sleep(float(str(value)))
    if what == "memory":
        np.zeros(1 << 60, np.uint8)
    if what == "alone":
        # Too slow beside the others, or with too little memory: a file for each that is at work.
        busy = Path(str(value)) / str(os.getpid())
        busy.touch()
        time.sleep(0.5)
        beside = len(list(busy.parent.iterdir()))
        busy.unlink()
        if beside > 1:
            os._exit(9)
    if what == "media":
        raise MediaError("unreadable", str(value))
    if what == "disk":
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out", value)
    if what == "fault":
        raise ValueError(value)
    return value


def pid_of(item: int) -> int:
    return os.getpid()


def results(
    items: Iterable[tuple[str, object]], patience: float = 120.0
) -> Iterator[object | MediaError | None]:
    """What `work` makes of each item in a process of its own."""
    labelled = ((None, item) for item in items)
    return (result for _, result in isolated(work, labelled, lambda _: patience))


def test_ordered_map_keeps_order_and_passes_errors_on() -> None:
    assert list(ordered_map(lambda n: n * n, range(200))) == [n * n for n in range(200)]
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda n: 1 // (3 - n), range(10)))


@pytest.mark.parametrize("ahead", [None, 3])
def test_ordered_map_takes_few_items_ahead(ahead: int | None) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = ordered_map(lambda n: n, items(), ahead)
    assert next(results) == 0
    assert len(taken) == 4 if ahead else len(taken) < 1_000
    results.close()  # type: ignore[attr-defined]


def test_processes_keep_order_and_take_few_items_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[tuple[str, object]]:
        for number in range(300):
            taken.append(number)
            yield "same", number

    found = results(items())
    assert next(found) == 0
    assert len(taken) < 100
    assert list(found) == list(range(1, 300))


@pytest.mark.slow
def test_a_crash_and_a_hang_take_nobody_along(tmp_path: Path) -> None:
    items = [("same", n) for n in range(20)]
    items[3], items[7] = ("crash", 3), ("hang", 7)
    items[11] = ("crash once", str(tmp_path / "tried"))
    found = list(results(items, patience=1.0))
    assert [r for r in found if not isinstance(r, MediaError)] == [
        n for n in [*range(11), str(tmp_path / "tried"), *range(12, 20)] if n not in (3, 7)
    ]
    assert isinstance(found[3], MediaError) and found[3].kind == "crashed"
    assert "signal 11" in found[3].detail
    assert isinstance(found[7], MediaError) and found[7].kind == "hung"


@pytest.mark.slow
def test_the_second_try_has_the_machine_for_itself(tmp_path: Path) -> None:
    found = list(results([("alone", str(tmp_path))] * 5))
    assert found == [str(tmp_path)] * 5


@pytest.mark.slow
def test_the_second_try_has_twice_the_time() -> None:
    (found,) = results([("slow", 1.5)], patience=1.0)
    assert found == 1.5
    (found,) = results([("slow", 60)], patience=1.6)
    assert isinstance(found, MediaError) and found.kind == "hung"
    expected = "tried again, it was not done after 3 s; tried before, it was not done after 2 s"
    assert found.detail == expected


def test_too_little_memory_is_a_problem_of_the_item_and_tried_again() -> None:
    found = list(results([("same", 1), ("memory", 2), ("same", 3)]))
    assert isinstance(found[1], MediaError) and found[1].kind == "no_memory"
    assert (found[0], found[2]) == (1, 3)


@pytest.mark.slow
def test_the_others_go_on_while_one_hangs_and_is_tried_again(tmp_path: Path) -> None:
    """It waits for its first try and its second; nobody else does."""
    others = [("touch", str(tmp_path / str(n))) for n in range(40)]
    labelled = ((None, item) for item in [("hang", 0), *others])
    found = isolated(work, labelled, lambda _: 2.0, ahead=100)
    first = next(found)[1]
    assert isinstance(first, MediaError) and first.kind == "hung"
    assert len(list(tmp_path.iterdir())) == 40, "before its second try was over"
    assert [result for _, result in found] == [value for _, value in others]


@pytest.mark.slow
def test_several_that_hang_are_tried_again_side_by_side(tmp_path: Path) -> None:
    both = ((None, ("interval", str(tmp_path))) for _ in range(2))
    found = [result for _, result in isolated(work, both, lambda _: 1.2, ahead=100)]
    assert found == [str(tmp_path)] * 2
    (first, second) = sorted(
        tuple(map(float, path.read_text().split())) for path in tmp_path.iterdir()
    )
    assert second[0] < first[1] or workers() == 1


@pytest.mark.slow
def test_processes_stay_for_the_next_items_and_end_with_close() -> None:
    isolation = Isolation(pid_of)
    before = {pid for _, pid in isolation.results([(None, n) for n in range(20)])}
    again = {pid for _, pid in isolation.results([(None, n) for n in range(20)])}
    both = before | again  # one may take every item while another still starts
    assert len(both) <= workers()
    isolation.close()
    _, alive = psutil.wait_procs([psutil.Process(p) for p in both if psutil.pid_exists(p)], 10)
    assert not alive
    assert {pid for _, pid in isolation.results([(None, 1)])}.isdisjoint(both), "new ones"
    isolation.close()


@pytest.mark.slow
def test_processes_that_died_while_idle_are_replaced() -> None:
    isolation = Isolation(pid_of)
    try:
        before = {pid for _, pid in isolation.results([(None, n) for n in range(20)])}
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid) for pid in before if psutil.pid_exists(pid)], 10)
        time.sleep(1.0)
        after = {pid for _, pid in isolation.results([(None, n) for n in range(20)])}
        assert after and after.isdisjoint(before)
    finally:
        isolation.close()


@pytest.mark.parametrize(("given", "count"), [("1", 1), ("100000", None), ("", None)])
def test_the_environment_lowers_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, given: str, count: int | None
) -> None:
    monkeypatch.delenv("ERC_WORKERS", raising=False)
    own = workers()
    monkeypatch.setenv("ERC_WORKERS", given)
    assert workers() == (count or own)


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_number_of_processes_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("ERC_WORKERS", given)
    with pytest.raises(PipelineError, match=f"ERC_WORKERS: got '{given}'"):
        workers()


@pytest.mark.parametrize(
    ("quota", "count"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("x", None)],
)
def test_a_containers_quota_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, count: int | None
) -> None:
    monkeypatch.delenv("ERC_WORKERS", raising=False)
    monkeypatch.setattr(module, "QUOTA", tmp_path / "none")
    own = workers()
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(module, "QUOTA", tmp_path / "cpu.max")
    assert workers() == (count or own)


@pytest.mark.slow
def test_what_is_raised_is_raised_here() -> None:
    with pytest.raises(MediaError) as caught:
        list(results([("media", "no moov atom")]))
    assert (caught.value.kind, caught.value.detail) == ("unreadable", "no moov atom")
    with pytest.raises(ValueError, match="17"):
        list(results([("same", 1), ("fault", 17)]))


def test_a_time_out_of_a_network_disk_is_no_clip_that_hangs() -> None:
    with pytest.raises(OSError, match=r"Connection timed out: 'clip\.mp4'"):
        list(results([("disk", "clip.mp4")]))


def test_nothing_is_started_where_there_is_nothing_to_do() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    assert list(isolated(work, [("a", None), ("b", None)])) == [("a", None), ("b", None)]
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_parent_that_ends_leaves_no_process_behind_and_no_traceback(
    tmp_path: Path, how: signal.Signals
) -> None:
    """A hung worker too: nobody would be left to end it."""
    code = (
        "from pipeline.base.workers import isolated\n"
        "from tests.base.test_workers import work\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        list(isolated(work, [(0, ('hang', 0))] * 4, lambda item: 600.0))\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n"
    )
    (tmp_path / "hanging.py").write_text(code)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "hanging.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as in a terminal: Ctrl-C goes to the whole group
    )
    try:
        children = _working(parent.pid)
        if how is signal.SIGINT:
            os.killpg(parent.pid, how)
        else:
            parent.send_signal(how)
        out, err = parent.communicate(timeout=60)
        assert not psutil.wait_procs(children, timeout=10)[1]
    finally:
        parent.kill()
    assert out == "interrupted\n" * (how is signal.SIGINT) and "Traceback" not in err


def _working(pid: int) -> list[psutil.Process]:
    """The processes that a process started, once its workers are at work."""
    for _ in range(200):
        children = psutil.Process(pid).children(recursive=True)
        if len(children) >= 3:
            time.sleep(1.0)
            return children
        time.sleep(0.1)
    raise AssertionError("no worker was started")


@pytest.mark.parametrize("letters", [60, 76, 200])
def test_processes_start_however_long_the_name_of_the_temporary_folder(
    tmp_path: Path, letters: int
) -> None:
    """The socket of a process that forks others has a name of 107 bytes at most."""
    folder = tmp_path / ("x" * letters)
    folder.mkdir()
    code = "from pipeline.base.workers import isolated; print(list(isolated(abs, [('a', -1)])))"
    environment = os.environ | {"TMPDIR": str(folder)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[('a', 1)]\n", "")
    assert not list(folder.iterdir())


def test_patience_is_a_share_of_the_length_and_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert patience_for(3.0) == 180.0
    monkeypatch.setenv("ERC_PATIENCE", "10")
    assert patience_for(3.0) == 70.0
