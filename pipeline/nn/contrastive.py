"""Supervised contrastive learning with hard negatives (paper, section 2.4, eq. 15-27).

The sentence before eq. 25 keeps the easy negatives "solely for normalization", eq. 26 leaves them
out of the denominator; eq. 26 is followed. All similarities come from one product: a loop
over utterances costs a hundred times as much.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

DENOMINATORS = ("positives_and_hard", "all")

TIE = 1e-6
"""Cosine similarities closer than this are equal: duplicates differ by rounding in a product."""


class ProjectionHead(nn.Module):
    """FC, ReLU, FC onto the unit sphere (eq. 15-23).

    Args:
        width: The model's width.
        projection: Size of the projected vector.
    """

    def __init__(self, width: int, projection: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, projection)

    def forward(self, features: Tensor) -> Tensor:
        """[..., width] to vectors of length 1, [..., projection]."""
        projected = self.output(functional.relu(self.hidden(features)))
        return functional.normalize(precise(projected), dim=-1)


def supervised_contrastive_loss(
    projected: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    hard_ratio: float | None = 0.3,
    denominator: str = "positives_and_hard",
) -> Tensor:
    """Draws utterances of a class together and away from the other classes (eq. 24-26).

    An anchor without another utterance of its class, or without one of another class, gives no
    term; the loss is the mean over the rest, 0 if there are none.

    Args:
        projected: Vectors of length 1, [utterance, projection].
        labels: [utterance].
        temperature: tau, divides the similarities.
        hard_ratio: Share of each anchor's negatives, the most similar ones, that count (eq. 25);
            ties with the last of them count too. None: all do.
        denominator: `positives_and_hard` (eq. 26), or `all` (eq. 24, whose two sums together count
            each positive twice), which excludes a hard ratio.

    Returns:
        A scalar, in float32 or more.
    """
    check_contrastive(temperature, hard_ratio, denominator)
    with torch.autocast(projected.device.type, enabled=False):
        vectors = precise(projected)
        similarity = vectors @ vectors.T
        same = labels.unsqueeze(1) == labels
        negatives = ~same
        positives = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        anchors = positives.any(dim=1) & negatives.any(dim=1)
        if not anchors.any():
            return similarity.sum() * 0.0
        if hard_ratio is not None:
            negatives = hardest(similarity.detach(), negatives, hard_ratio)
        logits = similarity / temperature
        log_total = _log_denominator(logits, positives, negatives, double=denominator == "all")
        count = positives.sum(dim=1).clamp(min=1)
        terms = log_total - logits.masked_fill(~positives, 0).sum(dim=1) / count
        return terms.masked_fill(~anchors, 0).sum() / anchors.sum()


def hardest(similarity: Tensor, negatives: Tensor, ratio: float) -> Tensor:
    """The most similar ceil(ratio * negatives) negatives of each anchor, with ties (eq. 25).

    Args:
        similarity: [anchor, utterance].
        negatives: True for an utterance of another class than the anchor, [anchor, utterance].
        ratio: In (0, 1].

    Returns:
        True for a hard negative, [anchor, utterance].
    """
    # The small term undoes products such as 0.07 * 100, which is just above 7.
    kept = (ratio * negatives.sum(dim=1).double() - 1e-9).ceil().long().clamp(min=1)
    ranked = similarity.masked_fill(~negatives, -math.inf).topk(int(kept.max()), dim=1).values
    threshold = ranked.gather(1, kept.unsqueeze(1) - 1)
    return negatives & (similarity >= threshold - TIE)


def check_contrastive(temperature: float, hard_ratio: float | None, denominator: str) -> None:
    """Refuses settings that mean nothing, or contradict each other."""
    if not temperature > 0:
        raise ValueError(f"Bad temperature {temperature}, expected a positive number")
    if hard_ratio is not None and not 0 < hard_ratio <= 1:
        raise ValueError(f"Bad hard ratio {hard_ratio}, expected one in (0, 1], or none")
    if denominator not in DENOMINATORS:
        raise ValueError(f"Bad denominator '{denominator}', expected one of {DENOMINATORS}")
    if denominator == "all" and hard_ratio is not None:
        raise ValueError(
            f"Bad hard ratio {hard_ratio} with denominator 'all', expected none: eq. 24 sums over "
            "every utterance"
        )


def _log_denominator(
    logits: Tensor, positives: Tensor, negatives: Tensor, *, double: bool
) -> Tensor:
    """Log of the denominator of eq. 26, or of eq. 24 when positives count `double`: [anchor]."""
    if double:
        logits = torch.where(positives, logits + math.log(2), logits)
    # No row is without a negative: there is an anchor, so there are two classes.
    return logits.masked_fill(~(positives | negatives), -math.inf).logsumexp(dim=1)


def precise(values: Tensor) -> Tensor:
    """At least float32: an exponential of bfloat16 similarities has two correct digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
