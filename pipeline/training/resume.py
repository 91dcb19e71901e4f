"""The file that lets a run survive a kill."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from pipeline.files import replacing

SECONDS_BETWEEN_SAVES = 20.0
# Of the time: a large network's state takes seconds to write.
LARGEST_SHARE = 0.05

State = TypeVar("State")


class StateFile(Generic[State]):
    """Where a run is kept while it lasts, and when it has ended.

    A run that goes on from an older state repeats the same numbers, so not every state is saved.

    Args:
        path: Where to.
        kind: Makes a state from its fields.
    """

    def __init__(self, path: Path, kind: Callable[..., State]) -> None:
        self.path, self._kind = path, kind
        self._saved, self._wait = time.monotonic(), SECONDS_BETWEEN_SAVES

    def save(self, state: State, *parts: Any, now: bool = False) -> None:
        """Keeps the run if the last save was a while ago, or at once with `now`.

        Args:
            state: What the run has found.
            parts: What has a state of its own: the model, the optimiser.
            now: Whether to save whatever the time.
        """
        start = time.monotonic()
        if not now and start - self._saved < self._wait:
            return
        content = {"state": vars(state), "parts": [part.state_dict() for part in parts]}
        with replacing(self.path) as part:
            torch.save(content, part)
        self._saved = time.monotonic()
        self._wait = max(SECONDS_BETWEEN_SAVES, (self._saved - start) / LARGEST_SHARE)

    def load(self, *parts: Any) -> State | None:
        """Fills `parts` with what was saved; None if nothing was."""
        if not self.path.exists():
            return None
        content = self._content()
        for part, saved in zip(parts, content["parts"], strict=True):
            part.load_state_dict(saved)
        return self._kind(**content["state"])

    def read(self) -> State:
        """What was saved of a run that has ended."""
        return self._kind(**self._content()["state"])

    def _content(self) -> Any:
        return torch.load(self.path, map_location="cpu", weights_only=True)
