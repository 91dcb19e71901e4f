"""Sample-weighted focal contrastive loss, SWFC (Shi and Huang, MultiEMO, ACL 2023)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.batch import NO_LABEL
from pipeline.nn.precision import full_precision, precise


def focal_contrastive_loss(
    vectors: Tensor, labels: Tensor, class_weights: Tensor, *, temperature: float, gamma: float
) -> Tensor:
    """Pull utterances of a class together, most of all rare classes and pairs that lie apart.

    With z of length 1 and `p_ij = softmax_j(z_i . z_j / tau)` over all others j:
    `-(1/R) sum_i w_(y_i) mean over j of its class of (1 - p_ij)^gamma ln p_ij`; an utterance that
    is alone in its class adds 0.

    Args:
        vectors: z before it is scaled, [utterance, feature].
        labels: y, [utterance].
        class_weights: w, [class].
        temperature: tau.
        gamma: How much more pairs count that lie apart; 0: all alike.

    Returns:
        A scalar, in float32 or more; 0 if no class has two utterances.
    """
    with full_precision(vectors):
        directions = functional.normalize(precise(vectors), dim=1)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positives = (labels.unsqueeze(1) == labels) & ~itself
        if not positives.any():
            return directions.sum() * 0
        scores = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
        # What does not count is replaced before products: 0 * infinity has no gradient.
        log_share = scores.log_softmax(dim=1).masked_fill(~positives, 0)
        others = (-torch.expm1(log_share)).clamp(min=torch.finfo(log_share.dtype).tiny)
        each = (others**gamma * log_share).sum(dim=1) / positives.sum(dim=1).clamp(min=1)
        return -(class_weights.to(each)[labels] * each).sum() / len(labels)


def rarity_weights(labels: Sequence[Tensor], classes: int, alpha: float) -> Tensor:
    """Weights w of classes, which sum to 1: in proportion to `(n / n_c)^alpha`, [class].

    Args:
        labels: Of each dialogue of the train split, -1 for none, [turn].
        classes: How many there are; one without any of the n labels weighs 0.
        alpha: 0: all alike.
    """
    turns = torch.cat(tuple(labels))
    counts = torch.bincount(turns[turns != NO_LABEL], minlength=classes).double()
    rarity = (counts.sum() / counts.clamp(min=1)) ** alpha
    rarity = rarity.masked_fill(counts == 0, 0)
    return rarity / rarity.sum().clamp(min=1)
