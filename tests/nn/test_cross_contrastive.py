"""The contrastive loss from one modality to another by hand, and against loops."""

import math

import pytest
import torch

from pipeline.nn.cross_contrastive import cross_contrastive_loss


def test_by_hand():
    """An anchor that equals its own turn; one whose turn stands at a right angle to it."""
    anchors, candidates = torch.tensor([[1.0, 0], [1, 0]]), torch.eye(2)
    labels = torch.tensor([0, 1])
    first, second = (math.log1p(math.exp(x)) for x in (-1, 1))
    loss = cross_contrastive_loss(anchors, labels, candidates, labels, 1.0)
    assert loss.item() == pytest.approx((first + second) / 2)
    assert first == pytest.approx(0.313262, abs=1e-6)


def test_against_loops():
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 4, generator=draw, dtype=torch.float64)
    anchors, candidates = torch.nn.functional.normalize(rows, dim=1).split([7, 5])
    of_anchors, of_candidates = torch.tensor([0, 1, 2, 0, 3, 1, 1]), torch.tensor([1, 0, 1, 2, 2])
    losses = []
    for anchor, label in zip(anchors, of_anchors.tolist(), strict=True):
        weights = [math.exp(float(anchor @ c) / 0.5) for c in candidates]
        positives = [w for w, k in zip(weights, of_candidates.tolist(), strict=True) if k == label]
        if positives:
            losses.append(-sum(math.log(w / sum(weights)) for w in positives) / len(positives))
    assert len(losses) == 6, "no candidate is of class 3"
    got = cross_contrastive_loss(anchors, of_anchors, candidates, of_candidates, 0.5)
    assert got.item() == pytest.approx(sum(losses) / 6)


@pytest.mark.parametrize(("labels", "others"), [([0, 0], [0, 0]), ([0, 1], [2, 3]), ([], [1])])
def test_with_nothing_to_pull_or_to_push_it_is_zero_and_has_a_graph(labels, others):
    anchors, candidates = torch.ones(len(labels), 2), torch.ones(len(others), 2)
    anchors.requires_grad_()
    labels, others = torch.tensor(labels).long(), torch.tensor(others)
    loss = cross_contrastive_loss(anchors, labels, candidates, others, 0.5)
    loss.backward()
    assert loss.item() == 0 and not anchors.grad.any()
