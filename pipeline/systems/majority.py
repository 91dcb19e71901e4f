"""The train split's most frequent class for every turn."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.nn.linear import labels_of
from pipeline.systems.base import Fitted, FittedSettings, Output, Shape, Source


class Majority(Fitted):
    """Predicts the train split's most frequent class, with the classes' shares as probabilities."""

    SOURCE = Source(fidelity="code", citation="the floor that every system must pass")
    shares: Tensor

    def __init__(self, settings: FittedSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.register_buffer("shares", torch.zeros(shape.classes))

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Count the classes."""
        counts = torch.bincount(
            torch.from_numpy(labels_of(train)), minlength=self.shape.classes
        ).float()
        self.shares.copy_((counts / counts.sum()).clamp(min=1e-6).log())

    def forward(self, batch: DialogueBatch) -> Output:
        """Log shares for every turn."""
        return Output(self.shares.expand(*batch.turn_mask.shape, -1))
