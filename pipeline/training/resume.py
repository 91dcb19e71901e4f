"""The state of a run, and the file that lets it survive a kill."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from pipeline.base.files import replacing
from pipeline.training.settings import TrainSettings

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


@dataclass
class RunState:
    """What a run has found so far.

    Attributes:
        history: One row of numbers per epoch.
        valid: Per epoch, [utterance, class] probabilities on validation.
        test: Likewise on test.
        best_epoch: From 1; the first with the highest validation weighted F1.
        best: The model's state at that epoch, on the CPU.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    valid: list[Tensor] = field(default_factory=list)
    test: list[Tensor] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def add(self, row: dict[str, float], valid: Tensor, test: Tensor, model: nn.Module) -> None:
        """Takes an epoch's results, and the model's weights if it is the best so far."""
        best = self.history[self.best_epoch - 1]["valid_weighted_f1"] if self.best_epoch else -1.0
        self.history.append(row)
        self.valid.append(valid)
        self.test.append(test)
        if row["valid_weighted_f1"] > best:
            self.best_epoch = len(self.history)
            self.best = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}

    @property
    def scores(self) -> list[float]:
        """Validation weighted F1 by epoch."""
        return [row["valid_weighted_f1"] for row in self.history]

    def finished(self, settings: TrainSettings) -> bool:
        """Whether all epochs are done, or too many passed without a better one."""
        epochs = len(self.history)
        return epochs >= settings.epochs or epochs - self.best_epoch >= settings.patience
