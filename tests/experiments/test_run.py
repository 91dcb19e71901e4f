"""Running a plan with DVC itself on a toy repository: N at a time, failures, stops, kills."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import psutil
import pytest
from dvc.repo import Repo

from pipeline.base.errors import PipelineError
from pipeline.experiments import run as running
from pipeline.experiments.plan import Experiment
from pipeline.experiments.run import arguments, finished, run

LONG = 600  # seconds that nothing here lasts, on a busy machine too
DAG = "stages: {go: {cmd: python go.py, deps: [go.py], params: [x, seconds], outs: [out.txt]}}\n"
GO = """\
import os, pathlib, sys, time, yaml
params = yaml.safe_load(open("params.yaml"))
shared = pathlib.Path(os.environ["ERC_CACHE"])
def note(name):
    shared.joinpath(name).open("a").write(params["x"] + " ")
    shared.joinpath("events").open("a").write(name + " ")
note("begun")
both = {"one", "two"}  # neither ends before the other has begun
while params["x"] in both and not both <= {*(shared / "begun").read_text().split()}:
    time.sleep(0.1)
time.sleep(params["seconds"])
if params["x"] == "bad":
    note("failed")
    sys.exit("unlucky")
note("ended")
pathlib.Path("out.txt").write_text(params["x"])
"""
KILLED = """\
from pipeline.experiments import run
from tests.experiments.test_run import toys
run.check = lambda plan: None
run.run("r", "again", lambda: [*toys("ref"), *toys("a", "b", seconds=5)], 2)
"""


def git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def toy(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with one stage, and a change that is staged, one that is not, one untracked file."""
    monkeypatch.setattr(running, "check", lambda plan: None)
    monkeypatch.setenv("ERC_CACHE", "cache")
    Path("cache").mkdir()
    files = {"dvc.yaml": DAG, "go.py": GO, "params.yaml": "x: ''\nseconds: 0\n", "mine": "1"}
    for name, text in {**files, ".gitignore": "/cache\n/out.txt\n"}.items():
        Path(name).write_text(text)
    git("init", "-q")
    git("config", "user.email", "t@example.org")
    git("config", "user.name", "t")
    Repo.init().close()  # not by its command line, which takes a second each time
    git("add", "-A")
    git("commit", "-qm", "start")
    Path("mine").write_text("2")
    git("add", "mine")
    Path("params.yaml").write_text("x: ''\nseconds: 0\n# edited\n")
    Path("untracked").touch()
    return workspace


@pytest.fixture
def unharmed(toy: Path) -> Iterator[Path]:
    """Afterwards the workspace is as it was, and no process and no folder is left of any run."""
    before = git("status", "--porcelain"), git("diff", "HEAD"), git("symbolic-ref", "HEAD")
    yield toy
    now = git("status", "--porcelain"), git("diff", "HEAD"), git("symbolic-ref", "HEAD")
    assert now == before and not git("stash", "list")
    assert [p.name for p in toy.glob(".dvc/tmp/exps/standalone/*")] in ([], ["run"])
    assert not [p for p in psutil.process_iter(["cwd"]) if str(toy / ".dvc") in str(p.info["cwd"])]


def toys(*names: str, seconds: float = 0) -> list[Experiment]:
    """Experiments r-NAME, the reference first."""
    return [
        Experiment(name, f"r-{name}", (f"x={name}", f"seconds={seconds}"), False, ("go",))
        for name in names
    ]


def went(plan: Sequence[Experiment], jobs: int = 2) -> None:
    run("r", "python -m pipeline experiment r", lambda: plan, jobs)


def noted(name: str) -> list[str]:
    file = Path("cache", name)
    return file.read_text().split() if file.exists() else []


def stop_when(begun: Callable[[], bool], number: int = signal.SIGINT) -> None:
    """Sends this process a signal as soon as something is the case."""

    def wait() -> None:
        until = time.monotonic() + LONG
        while not begun() and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait).start()


def test_the_words_for_dvc() -> None:
    experiment = Experiment("a", "r-a", ("x.y=[1]", "z=2"), True, ("evaluate@x-s",))
    common = ["exp", "run", "--temp", "--name", "r-a"]
    settings = ["-S", "x.y=[1]", "-S", "z=2"]
    assert arguments(experiment) == [*common, "--allow-missing", *settings, "evaluate@x-s"]


@pytest.mark.slow
def test_a_failure_is_told_with_its_log_and_the_others_go_on(
    unharmed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = toys("ref", "bad", "one", "two", "more")
    with pytest.raises(PipelineError) as error:
        went(plan)
    assert finished() == {"r-ref", "r-one", "r-two", "r-more"}
    begun, ended = noted("begun"), noted("ended")
    assert begun[0] == ended[0] == "ref" and noted("events")[:2] == ["begun", "ended"]
    changes = [1 if event == "begun" else -1 for event in noted("events")]
    assert max(accumulate(changes)) == 2, "the reference runs first and alone, then two at a time"
    assert sorted(begun) == ["bad", "more", "one", "ref", "two"]
    head, failed, *lines, last = str(error.value).splitlines()
    assert head == "1 of 5 experiments failed:"
    assert failed == "r-bad failed (exit status 255); .dvc/tmp/recipes/r-bad.log ends with:"
    assert "    unlucky" in lines and len(lines) <= running.LOG_LINES + 1
    assert last == "Fix that; then `python -m pipeline experiment r` goes on with the rest."

    with pytest.raises(PipelineError, match="1 of 5 experiments failed"):
        went(plan)
    assert "r: 5 experiments, 4 of them done" in capsys.readouterr().out
    assert noted("begun") == [*begun, "bad"], "what is done is not run again, what failed is"
    went([plan[0], *plan[2:]])
    assert capsys.readouterr().out == "r: 4 experiments, 4 of them done\n"


@pytest.mark.slow
def test_without_the_reference_the_others_do_not_run(unharmed: Path) -> None:
    with pytest.raises(PipelineError, match="1 of 2 experiments failed:\nr-bad failed"):
        went(toys("bad", "a"))
    assert noted("begun") == ["bad"] and not finished()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_recipe_goes_on_with_the_rest(unharmed: Path, number: int) -> None:
    """Ctrl-C, or `kill`; two run, one waits, when it comes."""
    handler = signal.getsignal(number)
    stop_when(lambda: len(noted("begun")) == 3, number)
    with pytest.raises(PipelineError, match=r"^Stopped; what is done is kept. `python -m pipeline"):
        went([*toys("ref"), *toys("a", "b", "c", seconds=LONG)])
    assert signal.getsignal(number) is handler
    assert finished() == {"r-ref"} and noted("ended") == ["ref"]
    went(toys("ref", "a"))
    assert finished() == {"r-ref", "r-a"} and noted("ended") == ["ref", "a"]


def test_a_start_is_not_cut_short(unharmed: Path) -> None:
    """The workspace's changes lie in a stash while DVC starts."""
    stop_when(lambda: bool(git("stash", "list") or git("for-each-ref", "refs/exps")))
    with pytest.raises(PipelineError, match="Stopped"):
        went(toys("ref", seconds=LONG))
    assert not finished() and not noted("ended")


@pytest.mark.slow
def test_files_that_change_are_not_run_under_the_old_name(unharmed: Path) -> None:
    plans = [toys("ref", "a"), toys("ref", "a"), toys("ref", "a"), toys("ref", "other")]
    with pytest.raises(PipelineError, match=r"changed before r-a had started; nothing is running"):
        run("r", "again", lambda: plans.pop(0), 2)
    assert finished() == {"r-ref"} and noted("begun") == ["ref"]


def test_what_changes_while_dvc_copies_the_files_is_noticed(unharmed: Path) -> None:
    plans = [toys("ref"), toys("ref"), toys("other")]
    with pytest.raises(PipelineError, match="changed before r-ref had started"):
        run("r", "again", lambda: plans.pop(0), 2)
    assert not finished()


@pytest.mark.slow
def test_what_had_ended_before_the_change_was_noticed_is_taken_back(unharmed: Path) -> None:
    def changed() -> list[Experiment]:
        while "r-ref" not in finished():
            time.sleep(0.1)
        return toys("other")

    plans = [toys("ref"), toys("ref")]
    with pytest.raises(PipelineError, match="changed before r-ref had started"):
        run("r", "again", lambda: plans.pop(0) if plans else changed(), 2)
    assert noted("ended") == ["ref"] and not finished()


@pytest.mark.slow
def test_what_a_killed_recipe_left_running_is_waited_for(
    unharmed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root)}) as process:
        while noted("begun")[:1] != ["ref"] or len(noted("begun")) < 3:
            assert process.poll() is None
            time.sleep(0.1)
        process.kill()
    went([*toys("ref"), *toys("a", "b", seconds=5)])
    assert finished() == {"r-ref", "r-a", "r-b"}
    assert sorted(noted("begun")) == ["a", "b", "ref"], "nothing is computed twice"


@pytest.mark.slow
def test_the_folder_of_an_experiment_that_was_killed_is_deleted(unharmed: Path) -> None:
    words = [sys.executable, "-m", "dvc", *arguments(toys("ref", seconds=LONG)[0])]
    shared = os.environ | {"ERC_CACHE": str(Path("cache").absolute())}
    with subprocess.Popen(words, env=shared, start_new_session=True) as process:
        while not noted("begun"):
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(list(unharmed.glob(".dvc/tmp/exps/standalone/tmp*"))) == 1
    went(toys("ref"))
    assert finished() == {"r-ref"}
