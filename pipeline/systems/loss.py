"""The training loss: cross-entropy plus the weighted contrastive losses (eq. 27)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.nn.batch import MODALITIES, NO_LABEL, DialogueBatch
from pipeline.nn.contrastive import check_contrastive, supervised_contrastive_loss
from pipeline.nn.entropy import Entropy
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
        entropy = Entropy(self.class_weights, self.label_smoothing, self.focal)(
            output.logits, batch.labels.masked_fill(~batch.turn_mask, NO_LABEL)
        )
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
