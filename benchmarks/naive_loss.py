"""The naive peer's loss: a Python loop over the utterances, as this field's public code has it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.nn.contrastive import TIE
from pipeline.systems.loss import Loss, LossTerms
from pipeline.systems.mcn_cl import Output


@dataclass(frozen=True)
class NaiveLoss:
    """The terms of `Loss` from the rows of the labelled turns.

    Attributes:
        settings: The loss that it must equal.
        contrastive: `naive_contrastive`, or ours.
    """

    settings: Loss
    contrastive: Callable[..., Tensor]

    def __call__(self, output: Output, batch: DialogueBatch) -> LossTerms:
        """The loss of the model's output on a batch."""
        labelled = batch.labels != NO_LABEL
        labels = batch.labels[labelled]
        entropy = functional.cross_entropy(output.logits, labels)
        terms = {}
        for modality, rows in output.projections.items():
            sampled = batch.available(modality)[labelled]
            terms[modality] = self.contrastive(
                rows[sampled],
                labels[sampled],
                temperature=self.settings.temperature,
                hard_ratio=self.settings.hard_ratio,
            )
        contrastive = sum(self.settings.modality_weights[m] * loss for m, loss in terms.items())
        total = entropy + self.settings.contrastive_weight * contrastive
        return LossTerms(total, entropy, torch.as_tensor(contrastive), terms)


def naive_contrastive(
    projected: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    hard_ratio: float,
    anchors: int | None = None,
    copies: bool = False,
) -> Tensor:
    """Eq. 26 in a loop over the anchors.

    Args:
        projected: Vectors of length 1, [utterance, projection].
        labels: [utterance].
        temperature: tau.
        hard_ratio: Share of the negatives that count.
        anchors: How many of the utterances are anchors; None: all.
        copies: Similarities as MultiEMO takes them, from a copy of the utterances for each anchor.
            The graph keeps every copy: 14 GB on a batch of IEMOCAP, so no training step uses it.
    """
    terms = []
    for anchor in range(len(labels) if anchors is None else anchors):
        if copies:
            others = torch.cat((projected[:anchor], projected[anchor:]))
            similarity = (others * projected[anchor].expand_as(others)).sum(dim=-1)
        else:
            similarity = projected @ projected[anchor]
        same = labels == labels[anchor]
        negatives = similarity[~same]
        same[anchor] = False
        positives = similarity[same]
        if len(positives) and len(negatives):
            terms.append(_term(positives, negatives, temperature, hard_ratio))
    return torch.stack(terms).mean() if terms else projected.sum() * 0.0


def _term(positives: Tensor, negatives: Tensor, temperature: float, hard_ratio: float) -> Tensor:
    """An anchor's term from its similarities, [positive] and [negative]."""
    kept = math.ceil(hard_ratio * len(negatives) - 1e-9)
    last = negatives.detach().topk(kept).values[-1]
    hard = negatives[negatives.detach() >= last - TIE]
    counted = torch.cat((positives, hard)) / temperature
    return counted.logsumexp(dim=0) - positives.mean() / temperature
