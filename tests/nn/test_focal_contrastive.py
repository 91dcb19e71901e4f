"""SWFC by hand, against the loop that it stands for, and batches that teach nothing."""

import math

import pytest
import torch

from pipeline.nn.focal_contrastive import focal_contrastive_loss, rarity_weights


def loss_of(vectors, labels, weights, temperature=1.0, gamma=2.0):
    return focal_contrastive_loss(
        vectors,
        torch.tensor(labels),
        torch.tensor(weights, dtype=vectors.dtype),
        temperature=temperature,
        gamma=gamma,
    )


def test_by_hand():
    # Each of the first two shares 1/2 with the other; the third has no partner.
    vectors = torch.eye(3, dtype=torch.float64)
    loss = loss_of(vectors, [0, 0, 1], [1.0, 1.0]).item()
    assert loss == pytest.approx(2 * (1 / 4) * math.log(2) / 3)
    assert loss == pytest.approx(0.115525, abs=1e-6)
    # Length is nothing; gamma 0 leaves the logarithm, and a weight multiplies.
    assert loss_of(5 * vectors, [0, 0, 1], [1.0, 1.0]).item() == pytest.approx(loss)
    plain = loss_of(vectors, [0, 0, 1], [3.0, 1.0], gamma=0.0).item()
    assert plain == pytest.approx(3 * 2 * math.log(2) / 3)
    # Opposite at tau 1/2: e^-2 against 1.
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    share = math.exp(-2) / (math.exp(-2) + 1)
    expected = -2 * (1 - share) ** 2 * math.log(share) / 3
    assert loss_of(opposite, [0, 0, 1], [1.0, 1.0], 0.5).item() == pytest.approx(expected)


def by_loop(vectors, labels, weights, temperature, gamma):
    units = [v / v.norm() for v in vectors]
    total = 0.0
    for i, unit in enumerate(units):
        others = [j for j in range(len(units)) if j != i]
        shares = [math.exp(float(unit @ units[j]) / temperature) for j in others]
        terms = [
            (1 - s / sum(shares)) ** gamma * math.log(s / sum(shares))
            for j, s in zip(others, shares, strict=True)
            if labels[j] == labels[i]
        ]
        if terms:
            total += weights[labels[i]] * sum(terms) / len(terms)
    return -total / len(units)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.4])
def test_it_equals_the_loop(gamma):
    vectors, labels = torch.randn(12, 5, dtype=torch.float64), [0, 0, 1, 1, 1, 2, 2, 0, 3, 1, 0, 2]
    weights = [0.1, 0.4, 0.3, 0.2]
    loss = loss_of(vectors, labels, weights, 0.8, gamma).item()
    assert loss == pytest.approx(by_loop(vectors, labels, weights, 0.8, gamma), abs=1e-12)


@pytest.mark.parametrize("labels", [[], [2], [0, 1, 2]], ids=str)
def test_no_pair_of_a_class_gives_zero_with_a_graph(labels):
    vectors = torch.randn(len(labels), 4, requires_grad=True)
    loss = focal_contrastive_loss(
        vectors,
        torch.tensor(labels, dtype=torch.long),
        torch.ones(3),
        temperature=1.0,
        gamma=2.0,
    )
    loss.backward()
    assert loss.item() == 0
    assert not vectors.grad.any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_are_right_where_they_exist_and_finite_where_shares_are_one(gamma):
    vectors = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v: loss_of(v, [0, 1, 0, 1, 1, 2], [0.5, 0.2, 0.3], 0.8, gamma), vectors
    )
    pair = torch.randn(2, 3, requires_grad=True)
    loss_of(pair, [0, 0], [1.0], 0.01, gamma).backward()
    same = torch.ones(4, 3, requires_grad=True)
    loss_of(same, [0, 0, 1, 1], [1.0, 1.0], 0.001, gamma).backward()
    assert pair.grad.isfinite().all()
    assert same.grad.isfinite().all()


def test_classes_weigh_by_how_rare_they_are():
    # Of 6, 3, 1, 0 and 2 are of the classes: 2, 6 and 3 to the power of alpha.
    labels = [torch.tensor([0, 0, 1, -1]), torch.tensor([0, 3, 3])]
    for alpha, parts in ((2.0, [4, 36, 0, 9]), (1.0, [2, 6, 0, 3]), (0.0, [1, 1, 0, 1])):
        expected = torch.tensor(parts, dtype=torch.float64)
        torch.testing.assert_close(rarity_weights(labels, 4, alpha), expected / expected.sum())
    assert not rarity_weights([torch.tensor([-1])], 4, 1.2).any()
