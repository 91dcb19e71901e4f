"""Soft-HGR by hand, against loops, and what leaves it as it is."""

import pytest
import torch

from pipeline.nn.soft_hgr import soft_hgr


def test_by_hand():
    # Means over rows: f . g = 1, and both covariances 1.
    views = torch.tensor([[1.0], [-1.0]])
    assert soft_hgr(views, views).item() == pytest.approx(-0.5)
    assert soft_hgr(views, -views).item() == pytest.approx(1.5)
    # Centred (2, -2) and (1, -1): f . g = 2, covariances 4 and 1.
    first, second = torch.tensor([[5.0], [1.0]]), torch.tensor([[9.0], [7.0]])
    assert soft_hgr(first, second).item() == pytest.approx(-(2 - 4 / 2))


@pytest.mark.parametrize("features", [1, 3, 8])
def test_whitened_equal_views_have_the_least_value_whatever_their_size(features):
    draws = torch.randn(40, features, dtype=torch.float64)
    whitened = 40**0.5 * torch.linalg.qr(draws - draws.mean(dim=0)).Q
    assert soft_hgr(whitened, whitened).item() == pytest.approx(-0.5)
    assert soft_hgr(1.1 * whitened, whitened).item() > -0.5
    assert soft_hgr(0.9 * whitened, whitened).item() > -0.5


def test_it_equals_loops():
    first, second = torch.randn(2, 7, 3, dtype=torch.float64)
    f, g = first - first.mean(dim=0), second - second.mean(dim=0)
    common = sum(float(f[r] @ g[r]) for r in range(7)) / 7
    covariance = [sum(torch.outer(v[r], v[r]) for r in range(7)) / 7 for v in (f, g)]
    expected = -(common - torch.trace(covariance[0] @ covariance[1]).item() / 2) / 3
    assert soft_hgr(first, second).item() == pytest.approx(expected, abs=1e-12)


def test_it_ignores_order_of_rows_and_what_all_of_them_share():
    first, second = torch.randn(2, 6, 4, dtype=torch.float64)
    expected = soft_hgr(first, second)
    torch.testing.assert_close(soft_hgr(second, first), expected)
    torch.testing.assert_close(soft_hgr(first + 3, second - 8), expected)
    order = torch.randperm(6)
    torch.testing.assert_close(soft_hgr(first[order], second[order]), expected)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_give_zero_with_a_graph(rows):
    first, second = torch.randn(2, rows, 4).requires_grad_()
    loss = soft_hgr(first, second)
    loss.backward()
    assert loss.item() == 0


def test_gradients():
    first, second = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_hgr, (first, second))
