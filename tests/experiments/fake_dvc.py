"""Stands in for `dvc`: a queue in a JSON file, in which every look at it is a step of the workers.

It is run as a program (see `conftest.py`), with the file's folder in the environment variable
FAKE_DVC. Every call is noted in `calls.jsonl`.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

START: dict[str, Any] = {
    "tasks": [],  # id, name, status
    "count": 0,  # of experiments ever queued
    "finished": [],  # names that `exp list` prints
    "failing": [],  # names that fail
    "busy": 0,  # calls that fail because of another process
    "refusal": "ERROR: Unable to acquire lock. Most likely another DVC process is running",
    "workers": 0,
    "looks": [],  # names of what ran, at each look
    "quitting": False,  # workers end what they run, begin nothing, and are gone
    "dead": [],  # ids of tasks that nothing runs
    "stubborn": [],  # ids that `queue remove` says it removed, and does not
}


def table(tasks: list[dict[str, str]]) -> str:
    """What `dvc queue status` of DVC 3.67 prints."""
    if not tasks:
        return "No experiment tasks in the queue."
    width = max(len("Name"), *(len(task["name"]) for task in tasks))
    head = f"{'Task':<7}  {'Name':<{width}}  {'Created':<8}  Status"
    rows = [f"{t['id']}  {t['name']:<{width}}  03:58 PM  {t['status']}" for t in tasks]
    return "\n".join([head, *rows])


def step(state: dict[str, Any]) -> None:
    """What runs ends; as many as there are workers begin."""
    if not state["workers"]:
        return
    for task in state["tasks"]:
        if task["status"] == "Running" and task["id"] not in state["dead"]:
            failed = task["name"] in state["failing"]
            task["status"] = "Failed" if failed else "Success"
            state["finished"] += [] if failed else [task["name"]]
    if state["quitting"]:
        state |= {"workers": 0, "quitting": False}
    queued = [task for task in state["tasks"] if task["status"] == "Queued"]
    for task in queued[: state["workers"]]:
        task["status"] = "Running"


def answer(words: list[str], state: dict[str, Any]) -> str:
    """Carries out a command."""
    match words:
        case ["exp", "list", "--all-commits", "--names-only"]:
            return "\n".join(state["finished"])
        case ["exp", "run", "--queue", "--name", name, *_]:
            state["count"] += 1
            task = {"id": f"{0xA00000 + state['count']:07x}", "name": name, "status": "Queued"}
            state["tasks"].append(task)
        case ["queue", "status"]:
            step(state)
            running = [task["name"] for task in state["tasks"] if task["status"] == "Running"]
            state["looks"].append(running)
            answering = state["workers"]
            return f"{table(state['tasks'])}\n\nWorker status: {answering} active, 0 idle"
        case ["queue", "start", "--jobs", number]:
            state["workers"] += int(number)
            return f"Started '{number}' new experiments task queue worker."
        case ["queue", "kill", *ids]:
            for task in state["tasks"]:
                task["status"] = "Failed" if task["id"] in ids else task["status"]
        case ["queue", "remove", *ids]:
            gone = set(ids) - set(state["stubborn"])
            state["tasks"] = [task for task in state["tasks"] if task["id"] not in gone]
        case ["queue", "logs", number]:
            return "\n".join(f"{number} line {n}" for n in range(40))
        case ["queue", "stop", "--kill"]:
            state["workers"] = 0
        case ["sleep"]:
            time.sleep(1)
            Path("awake").touch()
        case _:
            sys.exit(f"no such command: {words}")
    return ""


def main() -> None:
    """Notes the call, and answers it."""
    folder = Path(os.environ["FAKE_DVC"])
    with (folder / "calls.jsonl").open("a") as calls:
        seen = {name: os.environ.get(name) for name in ("ERC_CACHE", "ERC_WEIGHTS")}
        calls.write(json.dumps({"words": sys.argv[1:], **seen}) + "\n")
    file = folder / "state.json"
    state = json.loads(file.read_text())
    if state["busy"]:
        file.write_text(json.dumps({**state, "busy": state["busy"] - 1}))
        sys.exit(state["refusal"])
    print(answer(sys.argv[1:], state))
    file.write_text(json.dumps(state))


if __name__ == "__main__":
    main()
