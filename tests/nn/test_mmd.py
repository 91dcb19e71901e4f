"""Maximum mean discrepancy by hand, of equal samples, and without enough rows."""

import math

import pytest
import torch

from pipeline.nn.mmd import MOST_ROWS, SCALES, discrepancy, mmd


def test_by_hand():
    # X = {0}, Y = {1}, one kernel of variance 1.
    distances = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    value = discrepancy(distances, 1, torch.tensor([1.0])).item()
    assert value == pytest.approx(2 - 2 * math.exp(-0.5))
    assert value == pytest.approx(0.786939, abs=1e-6)


def test_the_width_of_the_kernels_follows_the_rows():
    # X = {0, 0}, Y = {1, 1}: of the six distances, four are 1, which is the median.
    x, y = torch.zeros(2, 1), torch.ones(2, 1)
    expected = 2 - 2 * sum(math.exp(-1 / (2 * s)) for s in SCALES) / len(SCALES)
    assert mmd(x, y).item() == pytest.approx(expected)
    assert mmd(10 * x, 10 * y).item() == pytest.approx(expected)


def test_of_equal_samples_it_is_zero():
    rows = torch.randn(20, 3, dtype=torch.float64)
    assert mmd(rows, rows).item() == pytest.approx(0, abs=1e-12)
    assert mmd(rows, rows + 1).item() > 0.1
    assert mmd(torch.ones(3, 2), torch.ones(4, 2)).item() == 0


def test_it_pulls_samples_together():
    x, y = torch.randn(8, 3), (torch.randn(9, 3) + 2).requires_grad_()
    before = mmd(x, y)
    before.backward()
    assert mmd(x, y - 0.1 * y.grad) < before


@pytest.mark.parametrize("rows", [(0, 5), (5, 1)])
def test_without_enough_rows_it_is_zero_and_has_a_graph(rows):
    x, y = (torch.randn(n, 3, requires_grad=True) for n in rows)
    value = mmd(x, y)
    value.backward()
    assert value.item() == 0


def test_of_many_rows_some_are_drawn():
    x, y = torch.randn(MOST_ROWS + 500, 2), torch.randn(MOST_ROWS, 2)
    draws = [mmd(x, y).item() for _ in range(2)]
    assert draws[0] != draws[1]
    assert draws[0] == pytest.approx(draws[1], abs=0.01)
