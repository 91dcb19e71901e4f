"""Supervised contrastive learning with hard negatives (paper, section 2.4, eq. 15-27).

The sentence before eq. 25 keeps the easy negatives "solely for normalization", but eq. 26 leaves
them out of the denominator; this follows eq. 26. All similarities come from one matrix product,
which is a hundred times faster than a loop over utterances.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.precision import full_precision, precise

DENOMINATORS = ("positives_and_hard", "all")

TIE = 1e-6
"""Cosine similarities closer than this count as equal: those of duplicates differ by rounding."""


class ProjectionHead(nn.Module):
    """FC, ReLU, FC onto the unit sphere (eq. 15-23)."""

    def __init__(self, width: int, projection: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, projection)

    def forward(self, features: Tensor) -> Tensor:
        """Map [..., width] to vectors of length 1, [..., projection]."""
        projected = self.output(functional.relu(self.hidden(features)))
        return functional.normalize(precise(projected), dim=-1)


def supervised_contrastive_loss(
    projected: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    hard_ratio: float | None = 0.3,
    denominator: str = "positives_and_hard",
    by_class: bool = False,
) -> Tensor:
    """Pull utterances of a class together and push other classes away (eq. 24-26).

    An anchor without positives or without negatives gives no term; the loss is the mean over the
    other anchors, 0 if there are none.

    Args:
        projected: Vectors of length 1, [utterance, projection].
        labels: [utterance].
        temperature: tau, divides the similarities.
        hard_ratio: Share of each anchor's negatives, the most similar ones, that count (eq. 25);
            ties with the last of them count too. None keeps all.
        denominator: `positives_and_hard` (eq. 26), or `all` (eq. 24, whose two sums together count
            each positive twice), which excludes a hard ratio.
        by_class: Keep that share of the negatives of each class, so that rare ones stay among them.

    Returns:
        A scalar, in float32 or more.
    """
    check_contrastive(temperature, hard_ratio, denominator)
    with full_precision(projected):
        vectors = precise(projected)
        similarity = vectors @ vectors.T
        same = labels.unsqueeze(1) == labels
        negatives = ~same
        positives = same.fill_diagonal_(False)
        # Sums over the rows of these matrices would take as long as their product.
        count = torch.bincount(labels)[labels] - 1  # of an anchor's positives
        anchors = (count > 0) & (count < len(labels) - 1)
        if not anchors.any():
            return similarity.sum() * 0.0
        if hard_ratio is not None:
            groups = [labels == c for c in torch.unique(labels)] if by_class else [negatives]
            each = [hardest(similarity.detach(), negatives & g, hard_ratio) for g in groups]
            negatives = torch.stack(each).any(dim=0)
        logits = similarity / temperature
        log_total = _log_denominator(logits, positives, negatives, double=denominator == "all")
        terms = log_total - torch.where(positives, logits, 0.0).sum(dim=1) / count.clamp(min=1)
        return terms.masked_fill(~anchors, 0).sum() / anchors.sum()


def hardest(similarity: Tensor, negatives: Tensor, ratio: float) -> Tensor:
    """The most similar ceil(ratio * negatives) negatives of each anchor, with ties (eq. 25).

    Args:
        similarity: [anchor, utterance].
        negatives: True for an utterance of a class other than the anchor's, [anchor, utterance].
        ratio: In (0, 1].

    Returns:
        True for a hard negative, [anchor, utterance].
    """
    # The small term corrects products such as 0.07 * 100, which is just above 7.
    kept = np.ceil(ratio * np.count_nonzero(negatives.numpy(force=True), axis=1) - 1e-9)
    ranks = negatives.shape[1] - kept.astype(int).clip(min=1)
    # NumPy's partition takes a tenth of the time of `topk`, which sorts.
    candidates = torch.where(negatives, similarity, -math.inf).numpy(force=True)
    last = np.empty_like(candidates[:, :1])
    for rank in np.unique(ranks):  # one for each class
        anchors = ranks == rank
        last[anchors, 0] = np.partition(candidates[anchors], rank, axis=1)[:, rank]
    return negatives & (similarity >= torch.from_numpy(last).to(similarity) - TIE)


def check_contrastive(temperature: float, hard_ratio: float | None, denominator: str) -> None:
    """Raise ValueError for settings that are out of range or contradict each other."""
    if not temperature > 0:
        raise ValueError(f"Bad temperature {temperature}, expected a positive number")
    if hard_ratio is not None and not 0 < hard_ratio <= 1:
        raise ValueError(f"Bad hard ratio {hard_ratio}, expected a number in (0, 1] or None")
    if denominator not in DENOMINATORS:
        raise ValueError(f"Bad denominator '{denominator}', expected one of {DENOMINATORS}")
    if denominator == "all" and hard_ratio is not None:
        raise ValueError(
            f"Bad hard ratio {hard_ratio} with denominator 'all', expected None: eq. 24 sums over "
            "every utterance"
        )


def _log_denominator(
    logits: Tensor, positives: Tensor, negatives: Tensor, *, double: bool
) -> Tensor:
    """Log of the denominator of eq. 26, or of eq. 24 if positives count `double`, [anchor]."""
    if double:
        logits = torch.where(positives, logits + math.log(2), logits)
    # Every row has a negative: there is an anchor, so there are two classes.
    return torch.where(positives | negatives, logits, -math.inf).logsumexp(dim=1)
