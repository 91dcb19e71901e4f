"""The ways to train that are compared: a naive peer and ours, on random batches and in buckets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from benchmarks.agreement import make_model
from benchmarks.measure import Cost, cost, with_peak_memory
from benchmarks.naive import NaiveMCNCL
from benchmarks.naive_loss import NaiveLoss, naive_contrastive
from benchmarks.synthetic_dialogues import Shape
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.contrastive import supervised_contrastive_loss
from pipeline.systems.loss import Loss
from pipeline.training.batches import length_buckets
from pipeline.training.data import Dialogue, collate

DROPOUT = 0.1
CLIP = 1.0


@dataclass
class Way:
    """A way to train, and what it took.

    Attributes:
        name: As printed.
        model: Ours or the peer.
        loss: Of its output and a batch.
        fused: Whether AdamW is fused, or as PyTorch has it by default.
        batches: Dialogue numbers of the batches that are timed.
        steps: Per round, all those batches together.
        collates: Per round, padding them.
        memory: MB that a step takes at most, beyond its batch; None where it cannot be read.
    """

    name: str
    model: nn.Module
    loss: Loss | NaiveLoss
    fused: bool | None
    batches: list[list[int]]
    steps: list[Cost] = field(default_factory=list)
    collates: list[Cost] = field(default_factory=list)
    memory: float | None = None

    def __post_init__(self) -> None:
        self._optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=self.fused)

    def warm_up(self, dialogues: Sequence[Dialogue]) -> None:
        """A small step that is not timed: it makes the optimiser's state, which stays."""
        self._learn(collate(dialogues[:2]))

    def round(self, dialogues: Sequence[Dialogue]) -> None:
        """Times a step on each batch; the first round also looks at the memory."""
        made, learnt = Cost(), Cost()
        first = not self.steps
        for numbers in self.batches:
            collating, batch = cost(partial(collate, [dialogues[n] for n in numbers]))
            step = partial(cost, partial(self._learn, batch))
            (learning, _), memory = with_peak_memory(step) if first else (step(), None)
            made, learnt = made + collating, learnt + learning
            if memory is not None:
                self.memory = max(memory, self.memory or 0.0)
        self.collates.append(made)
        self.steps.append(learnt)

    def padding(self, dialogues: Sequence[Dialogue]) -> float:
        """Share of the slots that hold no turn."""
        sizes = [[len(dialogues[n]) for n in batch] for batch in self.batches]
        slots = sum(len(batch) * max(batch) for batch in sizes)
        return 1 - sum(map(sum, sizes)) / slots

    def _learn(self, batch: DialogueBatch) -> None:
        """One training step: forward, loss, backward, clip, optimiser."""
        total = self.loss(self.model(batch), batch).total
        self._optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self._optimiser.step()


def make_ways(
    shape: Shape, dialogues: Sequence[Dialogue], timed: int, width: int = 256
) -> list[Way]:
    """All ways, each with a model of its own with the same weights.

    Args:
        shape: The corpus.
        dialogues: All of it.
        timed: How many random batches stand for the epoch; buckets differ, so all are timed.
        width: The model's width.
    """
    order = torch.randperm(len(dialogues), generator=torch.Generator().manual_seed(0)).tolist()
    cut = [order[i : i + shape.batch] for i in range(0, len(order), shape.batch)][:timed]
    lengths = [len(d) for d in dialogues]
    buckets = length_buckets(lengths, shape.batch, torch.Generator().manual_seed(0))
    dimensions = {m: f.shape[-1] for m, f in dialogues[0].features.items()}
    loss, ours = Loss(), [make_model(shape, DROPOUT, dimensions, width) for _ in range(2)]
    naive = [NaiveMCNCL(ours[0]) for _ in range(2)]
    looped = NaiveLoss(loss, naive_contrastive)
    vectorised = NaiveLoss(loss, supervised_contrastive_loss)
    return [
        Way("naive", naive[0], looped, None, cut),
        Way("naive, vectorised contrastive loss", naive[1], vectorised, None, cut),
        Way("ours, the same batches", ours[0], loss, True, cut),
        Way("ours, length buckets (used)", ours[1], loss, True, buckets),
    ]
