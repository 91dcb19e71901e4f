"""The figures of the history by hand; unlabelled turns count in none."""

import math

import pytest
import torch

from pipeline.training.scores import cross_entropy, weighted_f1

PROBABILITIES = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1], [0.2, 0.8]])


def test_cross_entropy() -> None:
    labels = torch.tensor([0, 1, -1, 0])
    expected = -(math.log(0.5) + math.log(0.75) + math.log(0.2)) / 3
    assert cross_entropy(PROBABILITIES, labels) == pytest.approx(expected)


def test_cross_entropy_of_a_certain_mistake_is_finite() -> None:
    assert math.isfinite(cross_entropy(torch.tensor([[1.0, 0.0]]), torch.tensor([1])))


def test_weighted_f1() -> None:
    """Predicted 0 1 - 1, actual 0 1 - 0: class 0 has F1 2/3 twice, class 1 2/3 once."""
    assert weighted_f1(PROBABILITIES, torch.tensor([0, 1, -1, 0])) == pytest.approx(200 / 3)
