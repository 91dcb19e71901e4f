"""Supervised contrastive learning from one modality to another."""

from torch import Tensor

from pipeline.nn.precision import full_precision, precise


def cross_contrastive_loss(
    anchors: Tensor,
    anchor_labels: Tensor,
    candidates: Tensor,
    candidate_labels: Tensor,
    temperature: float,
) -> Tensor:
    """Pull rows of another modality towards the anchors of their class, and push the others away.

    `mean_i -mean_p log(exp(a_i . c_p / tau) / sum_j exp(a_i . c_j / tau))` over the candidates p of
    the class of anchor i, its own turn too, and all candidates j. An anchor without such a p, or
    without a j of another class, is left out; 0 if all are.

    Args:
        anchors: Unit vectors a, [anchor, feature].
        anchor_labels: [anchor].
        candidates: Unit vectors c, [candidate, feature].
        candidate_labels: [candidate].
        temperature: tau.
    """
    with full_precision(anchors):
        logits = precise(anchors) @ precise(candidates).T / temperature
        positive = anchor_labels.unsqueeze(1) == candidate_labels
        count = positive.sum(dim=1)
        counted = (count > 0) & (count < len(candidates))
        if not counted.any():
            return logits.sum() * 0
        logits, positive = logits[counted], positive[counted]
        chosen = logits.log_softmax(dim=1).masked_fill(~positive, 0)
        return -(chosen.sum(dim=1) / count[counted]).mean()
