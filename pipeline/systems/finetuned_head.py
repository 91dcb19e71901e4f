"""The classification head that was fine-tuned with the text encoder."""

from collections.abc import Sequence

import torch
from torch import nn

from pipeline.base import paths
from pipeline.nn.batch import Dialogue, DialogueBatch
from pipeline.records.head import read_head
from pipeline.systems.base import Fitted, FittedSettings, LeftOut, Output, Shape, Source


class FinetunedHead(Fitted):
    """The fine-tuned text encoder's own predictions: one linear map of its stored vectors."""

    SOURCE = Source(fidelity="code", citation="the stage `finetune` of this pipeline")

    READS_HEAD = True

    def __init__(self, settings: FittedSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.scores = nn.Linear(shape.features.get("text", 1), shape.classes)

    def fit(self, train: Sequence[Dialogue], valid: Sequence[Dialogue], corpus: str) -> None:
        """Read the head."""
        head = read_head(paths.head(corpus))
        if head is None:
            raise LeftOut(f"{corpus}.finetune.enabled is false: there is no such encoder")
        if "text" not in self.shape.features:
            raise LeftOut(f"it reads text alone, which {corpus}.finetuned_head.modalities lacks")
        if (got := head.weight.shape) != tuple(self.scores.weight.shape):
            raise LeftOut(f"{paths.head(corpus)} has the shape {got}: run `dvc repro`")
        with torch.no_grad():
            self.scores.weight.copy_(torch.from_numpy(head.weight))
            self.scores.bias.copy_(torch.from_numpy(head.bias))

    def forward(self, batch: DialogueBatch) -> Output:
        """Scores of every turn; without text the biases decide."""
        available = batch.available("text").unsqueeze(-1)
        return Output(self.scores(torch.where(available, batch.features["text"], 0.0)))
