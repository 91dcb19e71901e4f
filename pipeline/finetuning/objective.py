"""The fine-tuning loss: cross-entropy plus optional terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.finetuning.network import Output
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.nn.contrastive import precise, supervised_contrastive_loss

NO_SENTIMENT = -1


@dataclass(frozen=True)
class Targets:
    """The targets of some utterances.

    Attributes:
        labels: [row] class numbers.
        sentiments: [row], -1 for none.
    """

    labels: Tensor
    sentiments: Tensor

    def rows(self, places: Sequence[int]) -> "Targets":
        """Select rows."""
        index = torch.tensor(places, device=self.labels.device)
        return Targets(self.labels[index], self.sentiments[index])

    def to(self, device: torch.device) -> "Targets":
        """Move to a device."""
        return Targets(self.labels.to(device), self.sentiments.to(device))


@dataclass(frozen=True)
class Objective:
    """`cross_entropy + sentiment * L_sentiment + contrastive * L_contrastive`.

    Attributes:
        settings: The weights and options of the terms.
        class_weights: Class weights of the cross-entropy, [class]; None for equal ones.
    """

    settings: FinetuneSettings
    class_weights: Tensor | None

    def terms(self, output: Output, part: Targets, batch: Targets) -> dict[str, Tensor]:
        """Compute the loss of a part of a batch and its terms, all scalars.

        The parts' cross-entropies add up to the batch's own, so a batch gives the same gradient
        however many parts it is split into. The contrastive loss compares utterances of one part
        alone.

        Args:
            output: Output for the part.
            part: Targets of the part.
            batch: Targets of the whole batch.

        Returns:
            `total`, to be differentiated, and `cross_entropy`, `sentiment`, `contrastive`.
        """
        settings = self.settings
        terms = {"cross_entropy": self._cross_entropy(output.logits, part.labels, batch.labels)}
        total = terms["cross_entropy"]
        if output.sentiment is not None:
            terms["sentiment"] = _known(output.sentiment, part.sentiments, batch.sentiments)
            total = total + settings.sentiment * terms["sentiment"]
        if output.projected is not None:
            loss = supervised_contrastive_loss(
                output.projected,
                part.labels,
                temperature=settings.temperature,
                hard_ratio=settings.hard_ratio,
            )
            terms["contrastive"] = loss * len(part.labels) / len(batch.labels)
            total = total + settings.contrastive * terms["contrastive"]
        return {"total": total, **terms}

    def _cross_entropy(self, logits: Tensor, labels: Tensor, every: Tensor) -> Tensor:
        """The part's share of the weighted mean over the batch."""
        weights = self.class_weights
        each = functional.cross_entropy(
            precise(logits),
            labels,
            weights,
            reduction="sum",
            label_smoothing=self.settings.label_smoothing,
        )
        return each / (len(every) if weights is None else weights[every].sum())


def _known(logits: Tensor, sentiments: Tensor, every: Tensor) -> Tensor:
    """The part's share of the mean cross-entropy over utterances with a sentiment."""
    each = functional.cross_entropy(
        precise(logits), sentiments, reduction="sum", ignore_index=NO_SENTIMENT
    )
    return each / torch.clamp((every != NO_SENTIMENT).sum(), min=1)
