"""The training loss: cross-entropy plus the weighted contrastive losses (eq. 27)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.batch import MODALITIES, NO_LABEL, DialogueBatch
from pipeline.nn.contrastive import check_contrastive, precise, supervised_contrastive_loss
from pipeline.systems.mcn_cl import Output


@dataclass(frozen=True)
class LossTerms:
    """The loss and its terms, all scalars."""

    total: Tensor
    """Cross-entropy + lambda * contrastive; this one is differentiated."""

    cross_entropy: Tensor
    contrastive: Tensor
    """L_total_contrast of eq. 27, 0 without projections."""

    per_modality: dict[str, Tensor]
    """The unweighted contrastive loss of each modality."""


@dataclass(frozen=True)
class Loss:
    """`cross_entropy + contrastive_weight * sum of modality_weights[m] * L_m`.

    Padded and unlabelled turns give no loss; a batch without labelled turns gives 0. An utterance
    that lacks a modality is left out of that modality's contrastive loss.
    """

    temperature: float = 0.8
    """tau of the contrastive loss."""

    hard_ratio: float | None = 0.3
    """Share of the negatives that count, see `supervised_contrastive_loss`."""

    denominator: str = "positives_and_hard"
    """Denominator of the contrastive loss, see `supervised_contrastive_loss`."""

    contrastive_weight: float = 1.0
    """lambda; the paper gives no value."""

    modality_weights: Mapping[str, float] = field(
        default_factory=lambda: dict.fromkeys(MODALITIES, 1 / 3)
    )
    """alpha, beta, gamma of eq. 27, by modality."""

    class_weights: Tensor | None = None
    """Class weights of the cross-entropy, [class]."""

    label_smoothing: float = 0.0
    """Label smoothing of the cross-entropy, in [0, 1)."""

    focal: float = 0.0
    """gamma of the focal loss (Lin et al., ICCV 2017): each utterance's cross-entropy is multiplied
    by (1 - p)^gamma, p being the probability of its class; 0 is plain cross-entropy."""

    def __post_init__(self) -> None:
        check_contrastive(self.temperature, self.hard_ratio, self.denominator)

    def __call__(self, output: Output, batch: DialogueBatch) -> LossTerms:
        """Compute the loss of the model's output on a batch."""
        labelled = batch.turn_mask & (batch.labels != NO_LABEL)
        entropy = self._cross_entropy(output.logits[labelled], batch.labels[labelled])
        per_modality = {
            modality: self._contrastive(
                projected, batch.labels, labelled & batch.available(modality)
            )
            for modality, projected in output.projections.items()
        }
        terms = [self.modality_weights[m] * loss for m, loss in per_modality.items()]
        contrastive = torch.stack(terms).sum() if terms else torch.zeros_like(entropy)
        total = entropy + self.contrastive_weight * contrastive
        return LossTerms(total, entropy, contrastive, per_modality)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted mean over utterances, 0 if there are none.

        Args:
            logits: [utterance, class].
            labels: [utterance].
        """
        logits = precise(logits)
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        each = functional.cross_entropy(
            logits, labels, weights, reduction="none", label_smoothing=self.label_smoothing
        )
        if self.focal:
            each = each * _doubt(logits, labels) ** self.focal
        # PyTorch's own mean divides by the same number, but gives NaN where it is 0.
        count = torch.ones_like(logits[:, 0]) if weights is None else weights[labels]
        return each.sum() / count.sum().clamp(min=torch.finfo(each.dtype).tiny)

    def _contrastive(self, projected: Tensor, labels: Tensor, sampled: Tensor) -> Tensor:
        """Compute the contrastive loss of one modality, a scalar.

        Args:
            projected: [batch, turn, projection].
            labels: [batch, turn].
            sampled: True for the utterances that take part, [batch, turn].
        """
        return supervised_contrastive_loss(
            projected[sampled],
            labels[sampled],
            temperature=self.temperature,
            hard_ratio=self.hard_ratio,
            denominator=self.denominator,
        )


def _doubt(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - p of the true class, [utterance], above 0: 0 ** gamma has no gradient for gamma < 1."""
    true_class = functional.one_hot(labels, logits.shape[-1]).bool()
    doubt = logits.softmax(-1).masked_fill(true_class, 0).sum(-1)
    return doubt.clamp(min=torch.finfo(doubt.dtype).tiny)
