"""The state of a long run, kept in the cache: it survives a kill, and no run is done twice."""

import time
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile, ZipFile

import torch

from pipeline.base.files import replacing

SECONDS_BETWEEN_SAVES = 1.0
# Of the time: a large network's state takes seconds to write.
LARGEST_SHARE = 0.05

State = TypeVar("State")


class Sparingly:
    """Bounds what a repeated action costs: at most `LARGEST_SHARE` of the time.

    Args:
        seconds: Between two actions at least, and before the first.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds, self._next = seconds, time.monotonic() + seconds

    def __call__(self, action: Callable[[], None]) -> None:
        """Act, unless the last time was only just now."""
        start = time.monotonic()
        if start >= self._next:
            action()
            end = time.monotonic()
            self._next = end + max(self._seconds, (end - start) / LARGEST_SHARE)


class StateFile(Generic[State]):
    """Where a run is kept while it lasts, and after it has ended.

    A run that resumes from an older state repeats the same numbers, so not every state is saved.

    Args:
        path: Where to.
        kind: Makes a state from its fields.
    """

    def __init__(self, path: Path, kind: Callable[..., State]) -> None:
        self.path, self._kind = path, kind
        self._sparingly = Sparingly(SECONDS_BETWEEN_SAVES)

    def save(self, state: State, *parts: Any) -> None:
        """Keep a run that goes on, unless the last save was only just now.

        Args:
            state: The run's results so far.
            parts: What has a state of its own: the model, the optimiser.
        """
        self._sparingly(lambda: self._write(state, *parts))

    def finish(self, state: State) -> None:
        """Keep a run that has ended, without what it would need to go on."""
        self._write(state)

    def load(self, *parts: Any) -> State | None:
        """Fill `parts` with what was saved of a run that goes on; None if nothing was."""
        content = self._content()
        if content is None:
            return None
        if content["parts"]:  # a run that has ended left none
            for part, saved in zip(parts, content["parts"], strict=True):
                part.load_state_dict(saved)
        return self._kind(**content["state"])

    def read(self) -> State | None:
        """The results that were saved; None if none were, or if the file is damaged."""
        content = self._content()
        return None if content is None else self._kind(**content["state"])

    def _write(self, state: State, *parts: Any) -> None:
        content = {"state": vars(state), "parts": [part.state_dict() for part in parts]}
        with replacing(self.path) as part:
            torch.save(content, part)

    def _content(self) -> Any:
        """The file's content; None where it is absent or damaged: then the run is done again."""
        try:
            with ZipFile(self.path) as archive:
                if archive.testzip() is None:  # torch writes checksums, but does not read them
                    return torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, BadZipFile, UnpicklingError):
            pass
        return None
