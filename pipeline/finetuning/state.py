"""What a run of fine-tuning has found so far."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.finetuning.settings import FinetuneSettings


@dataclass
class TuningState:
    """Of one run.

    Attributes:
        step: How many steps are done.
        sums: Of each term of the loss over the steps of the epoch that has begun, scalars.
        history: One row of numbers per epoch.
        best_epoch: From 1; the first with the highest validation weighted F1, or the last one
            where there is no validation.
        best: What learned, as it was at that epoch, on the CPU; by name.
        valid: [utterance, class] probabilities of that epoch on validation.
    """

    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    valid: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    def improves(self, row: dict[str, float]) -> bool:
        """Whether an epoch is better than all before it."""
        if not self.best_epoch or "valid_weighted_f1" not in row:
            return True
        return row["valid_weighted_f1"] > self.history[self.best_epoch - 1]["valid_weighted_f1"]

    def finished(self, epochs: int, settings: FinetuneSettings) -> bool:
        """Whether all epochs are done, or too many passed without a better one."""
        done = len(self.history)
        return done >= epochs or done - self.best_epoch >= settings.patience
