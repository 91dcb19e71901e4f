"""A stand-in for DVC on the PATH, and a plan for it."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.experiments import batch, queue
from pipeline.experiments.plan import Experiment
from pipeline.experiments.queue import Queue
from tests.experiments import fake_dvc


@dataclass(frozen=True)
class FakeDvc:
    """What the stand-in holds and was asked."""

    folder: Path

    @property
    def state(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return content

    def set(self, **values: Any) -> None:
        (self.folder / "state.json").write_text(json.dumps({**self.state, **values}))

    def calls(self) -> list[dict[str, Any]]:
        file = self.folder / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def asked(self, *first: str) -> list[list[str]]:
        """The words of all calls that begin with these."""
        words = [call["words"] for call in self.calls()]
        return [w for w in words if w[: len(first)] == list(first)]

    def queued(self) -> list[str]:
        """Names in the order in which they were queued."""
        return [words[4] for words in self.asked("exp", "run")]


@pytest.fixture
def dvc(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDvc:
    """An empty queue, and no waiting between two looks at it."""
    programs = workspace / "bin"
    programs.mkdir()
    (programs / "dvc").write_text(f'#!/bin/sh\nexec {sys.executable} {fake_dvc.__file__} "$@"\n')
    (programs / "dvc").chmod(0o755)
    (workspace / "state.json").write_text(json.dumps(fake_dvc.START))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DVC", str(workspace))
    monkeypatch.setattr(queue, "SECONDS_BETWEEN_TRIES", 0)
    monkeypatch.setattr(batch, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(batch, "SECONDS_BETWEEN_KILLS", 0)
    fake = FakeDvc(workspace)
    monkeypatch.setattr(Queue, "workers", lambda self: fake.state["workers"])
    return fake


def plan(variants: Sequence[str] = ("full", "text", "audio", "visual")) -> list[Experiment]:
    """Experiments r-VARIANT, the reference first."""
    return [
        Experiment(v, f"r-{v}", (f"model.x.v={v}",), allow_missing=False, targets=())
        for v in variants
    ]
