"""What one training run is given."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline.dataset import Dialogue, collate
from pipeline.model.inputs import DialogueBatch
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.loss import LossSettings
from pipeline.settings.model import ModelSettings
from pipeline.settings.train import TrainSettings


@dataclass(frozen=True)
class Task:
    """The data and settings of all runs of one fold.

    Attributes:
        classes: How many classes there are.
        train: Dialogues to learn from.
        valid: Dialogues that choose the epoch.
        test: Dialogues to predict; their labels are not in here.
        model: What is built.
        loss: What is minimised.
        optimisation: How.
        compute: On what; `device` is resolved, never `auto`.
    """

    classes: int
    train: Sequence[Dialogue]
    valid: Sequence[Dialogue]
    test: Sequence[Dialogue]
    model: ModelSettings
    loss: LossSettings
    optimisation: TrainSettings
    compute: ComputeSettings

    @property
    def dimensions(self) -> dict[str, int]:
        """Number of features by modality in use."""
        return {m: v.shape[-1] for m, v in self.train[0].features.items()}

    def load(self, dialogues: Sequence[Dialogue], batch: Sequence[int]) -> DialogueBatch:
        """One padded batch on the device."""
        padded = collate([dialogues[i] for i in batch])
        return padded.to(torch.device(self.compute.device))
