"""Settings of trees small enough for tests: one or two dialogues of short turns in each part."""

import hashlib
from pathlib import Path

import pytest

from pipeline.demo.settings import DemoSettings

SMALL = {
    "workers": 1,
    "min_turns": 5,
    "max_turns": 6,
    "min_per_class": 0,
    "width": 256,
    "height": 192,
    "min_seconds": 0.5,
    "max_seconds": 0.7,
}
SESSIONS = {f"Session{number}": 1 for number in range(1, 6)}


@pytest.fixture(scope="session")
def tiny() -> DemoSettings:
    return DemoSettings(layout="meld", dialogues={"train": 2, "dev": 1, "test": 1}, **SMALL)


@pytest.fixture(scope="session")
def tiny_iemocap() -> DemoSettings:
    dialogues = SESSIONS | {"Session1": 2, "Session5": 2}
    return DemoSettings(layout="iemocap", dialogues=dialogues, fps=10, **SMALL)


@pytest.fixture(scope="session")
def full_iemocap() -> DemoSettings:
    """The default size, for tests that render nothing."""
    return DemoSettings(
        layout="iemocap",
        dialogues=dict.fromkeys(SESSIONS, 3),
        min_turns=13,
        max_turns=19,
        min_per_class=2,
    )


def digests(folder: Path) -> dict[str, str]:
    """The files of a tree and their hashes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
