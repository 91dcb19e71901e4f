"""Running a plan: what is skipped, waited for, queued, revived, told; DVC is a stand-in."""

import signal
from collections.abc import Sequence

import pytest

from pipeline.base.errors import PipelineError
from pipeline.experiments import batch, running
from pipeline.experiments.plan import Experiment
from pipeline.experiments.queue import Queue, Task
from pipeline.experiments.request import Request
from tests.experiments.conftest import FakeDvc, plan

ALL = ["r-full", "r-text", "r-audio", "r-visual"]


@pytest.fixture(autouse=True)
def unchecked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Settings are tried on params.yaml in test_plan.py; here, what would be tried is noted."""
    checked: list[list[str]] = []
    monkeypatch.setattr(running, "check", lambda plan: checked.append([e.name for e in plan]))
    return checked


def run(experiments: list[Experiment], jobs: int = 2) -> None:
    running.run(Request("r"), lambda: experiments, jobs, Queue())


def task(name: str, status: str, number: str = "b582254") -> dict[str, str]:
    return {"id": number, "name": name, "status": status}


def any_active(dvc: FakeDvc) -> bool:
    return any(t["status"] in ("Queued", "Running") for t in dvc.state["tasks"])


def test_the_reference_runs_first_and_alone(dvc: FakeDvc) -> None:
    run(plan())
    assert dvc.queued() == ALL and set(dvc.state["finished"]) == set(ALL)
    looks = [look for look in dvc.state["looks"] if look]
    assert looks[0] == ["r-full"] and not any("r-full" in look for look in looks[1:])
    assert ["r-text", "r-audio"] in looks or ["r-audio", "r-visual"] in looks, "two at a time"
    assert max(len(look) for look in looks) == 2


def test_a_second_run_queues_and_starts_nothing(
    dvc: FakeDvc, capsys: pytest.CaptureFixture[str]
) -> None:
    dvc.set(finished=ALL)
    run(plan())
    assert not dvc.asked("exp", "run") and not dvc.asked("queue", "start")
    assert capsys.readouterr().out == "r: 4 experiments, 4 of them done\n"


def test_what_is_queued_or_runs_is_waited_for(dvc: FakeDvc, unchecked: list[list[str]]) -> None:
    dvc.set(
        finished=["r-full"],
        tasks=[task("r-text", "Running", "0000001"), task("r-audio", "Queued", "0000002")],
        workers=1,
    )
    run(plan())
    assert dvc.queued() == ["r-visual"]
    assert unchecked == [["r-audio", "r-visual"]], "r-text ended at the first look at the queue"
    assert set(dvc.state["finished"]) == set(ALL)


@pytest.mark.parametrize("stubborn", [[], ["b582254"]])
def test_what_failed_before_is_queued_again(dvc: FakeDvc, stubborn: list[str]) -> None:
    """Even if DVC keeps the old one in the list."""
    dvc.set(finished=["r-full"], tasks=[task("r-text", "Failed")], stubborn=stubborn)
    run(plan(["full", "text"]))
    assert dvc.asked("queue", "remove") == [["queue", "remove", "b582254"]]
    assert dvc.queued() == ["r-text"] and "r-text" in dvc.state["finished"]


def test_a_success_without_its_experiment_is_queued_again(dvc: FakeDvc) -> None:
    """The user has removed it with `dvc exp remove`."""
    dvc.set(finished=["r-full"], tasks=[task("r-text", "Success")])
    run(plan(["full", "text"]))
    assert dvc.queued() == ["r-text"]


def test_a_failure_is_told_when_the_others_have_run(dvc: FakeDvc) -> None:
    dvc.set(failing=["r-text"])
    with pytest.raises(PipelineError) as error:
        run(plan())
    assert set(dvc.state["finished"]) == {"r-full", "r-audio", "r-visual"}
    lines = str(error.value).splitlines()
    assert lines[0] == "1 of 4 experiments failed:"
    assert lines[1] == "r-text failed; `dvc queue logs 0a00002` ends with:"
    assert lines[-2] == "    0a00002 line 39" and len(lines) == 2 + batch.LOG_LINES + 1
    assert lines[-1].endswith("`python -m pipeline experiment r` goes on with the rest.")


def test_without_the_reference_the_others_are_stopped(dvc: FakeDvc) -> None:
    """In the stand-in, each look at the queue takes as long as an experiment."""
    dvc.set(failing=["r-full"])
    with pytest.raises(PipelineError, match="1 of 4 experiments failed:\nr-full failed"):
        run(plan())
    assert "r-visual" not in dvc.state["finished"] and not any_active(dvc)


def test_a_reference_that_failed_comes_before_what_is_still_queued(dvc: FakeDvc) -> None:
    dvc.set(tasks=[task("r-text", "Queued", "0000001"), task("r-full", "Failed", "0000002")])
    run(plan(["full", "text"]))
    assert dvc.asked("queue", "remove") == [["queue", "remove", "0000001", "0000002"]]
    assert dvc.queued() == ["r-full", "r-text"]


def test_files_that_change_meanwhile_are_not_run_under_the_old_name(dvc: FakeDvc) -> None:
    dvc.set(finished=["r-full"])
    plans = [plan(), plan(), plan(), plan(["full", "other"])]
    with pytest.raises(PipelineError, match="changed before r-audio was queued; nothing is in"):
        running.run(Request("r"), lambda: plans.pop(0), 2, Queue())
    assert dvc.queued() == ["r-text"] and not any_active(dvc)


def test_other_experiments_in_the_queue_are_left_alone(dvc: FakeDvc) -> None:
    theirs = [task("mine", "Queued"), task("", "Running", "0000007"), task("old", "Failed")]
    dvc.set(tasks=theirs)
    with pytest.raises(PipelineError, match=r"mine \(Queued\), 0000007 \(Running\)\. Wait"):
        run(plan())
    assert dvc.state["tasks"] == theirs and len(dvc.calls()) == 2, "both only looked"


def test_where_all_is_done_other_experiments_do_not_matter(dvc: FakeDvc) -> None:
    """A search that was killed while it tested its choice finds its points done."""
    dvc.set(finished=ALL, tasks=[task("r-chosen", "Queued")])
    run(plan())
    assert len(dvc.calls()) == 2


def test_what_a_reboot_left_running_is_queued_anew(dvc: FakeDvc) -> None:
    dvc.set(finished=["r-full"], tasks=[task("r-text", "Running")])
    run(plan(["full", "text"]))
    assert dvc.asked("queue", "kill") == [["queue", "kill", "b582254"]]
    assert dvc.queued() == ["r-text"] and "r-text" in dvc.state["finished"]


@pytest.mark.parametrize("deaths", [1, 2])
def test_what_dies_with_its_worker_gets_another_chance(
    dvc: FakeDvc, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    looks, left = Queue.tasks, [deaths]

    def looked(self: Queue) -> list[Task]:
        found = looks(self)
        running = [t.id for t in found if t.status == "Running"]
        if left[0] and running and dvc.state["workers"]:
            left[0] -= 1
            dvc.set(workers=0, dead=running)
        return found

    monkeypatch.setattr(Queue, "tasks", looked)
    dvc.set(finished=["r-full"])
    if deaths == 1:
        run(plan(["full", "text"]))
        assert dvc.queued() == ["r-text", "r-text"] and "r-text" in dvc.state["finished"]
    else:
        with pytest.raises(PipelineError, match="1 of 2 experiments failed:\nr-text: its worker"):
            run(plan(["full", "text"]))


def test_what_vanishes_from_the_queue_is_told(
    dvc: FakeDvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "put", lambda self, experiment: None)
    with pytest.raises(PipelineError, match="r-full is no longer in DVC's queue"):
        run(plan(["full"]))


def test_workers_that_end_early_are_started_again(
    dvc: FakeDvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they leave queued would lie there for ever."""
    looks = Queue.tasks

    def looked(self: Queue) -> list[Task]:
        found = looks(self)
        dvc.set(quitting=any(t.status == "Running" for t in found))
        return found

    monkeypatch.setattr(Queue, "tasks", looked)
    run(plan(), jobs=1)
    assert set(dvc.state["finished"]) == set(ALL)
    assert len(dvc.asked("queue", "start")) == len(ALL)


def test_ctrl_c_leaves_nothing_in_the_queue(dvc: FakeDvc, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pressed again, it changes nothing."""
    dvc.set(finished=["r-full"])
    remove = Queue.remove

    def removed(self: Queue, tasks: Sequence[Task]) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(self, tasks)

    def interrupted(seconds: float) -> None:
        if any(t["status"] == "Running" for t in dvc.state["tasks"]):
            monkeypatch.setattr(Queue, "remove", removed)
            raise KeyboardInterrupt

    monkeypatch.setattr(batch.time, "sleep", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(PipelineError, match="Stopped; what is done is kept") as error:
        run(plan(), jobs=1)
    assert "`python -m pipeline experiment r` goes on" in str(error.value)
    assert not any_active(dvc)
    assert dvc.asked("queue", "stop") == [["queue", "stop", "--kill"]]
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_command_that_goes_on_has_its_options(dvc: FakeDvc) -> None:
    dvc.set(failing=["r-full"])
    request = Request("r", quick=True, corpora=("meld", "iemocap"))
    command = "`python -m pipeline experiment r --quick --corpus meld --corpus iemocap` goes on"
    with pytest.raises(PipelineError, match=command):
        running.run(request, plan, 1, Queue())
