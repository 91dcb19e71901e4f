"""Central moment discrepancy by hand, of equal samples, and without enough rows."""

import pytest
import torch

from pipeline.nn.cmd import central_moment_discrepancy


def column(*values):
    return torch.tensor(values).unsqueeze(1)


def test_samples_that_differ_by_a_shift_differ_in_their_mean_alone():
    distance = central_moment_discrepancy(column(0.0, 2.0), column(1.0, 3.0))
    assert distance.item() == pytest.approx(1)


def test_moments_up_to_the_fifth_by_hand():
    # {0, 1}: 1/2, then 1/4, 0, 1/16, 0; {0, 0}: zeros.
    distance = central_moment_discrepancy(column(0.0, 1.0), column(0.0, 0.0))
    assert distance.item() == pytest.approx(1 / 2 + 1 / 4 + 1 / 16)
    # {0, 0, 3}: 1, then 2, 2, 6, 10; of another number of rows, all 1.
    distance = central_moment_discrepancy(column(0.0, 0.0, 3.0), column(1.0, 1.0))
    assert distance.item() == pytest.approx(2 + 2 + 6 + 10)


def test_features_are_joined_by_their_norm():
    x, y = column(0.0, 0.0, 3.0), column(1.0, 1.0)
    both = central_moment_discrepancy(x.repeat(1, 4), y.repeat(1, 4))
    assert both.item() == pytest.approx(2 * 20)


def test_of_equal_samples_it_is_zero_and_its_gradient_too():
    rows = torch.rand(6, 3).requires_grad_()
    distance = central_moment_discrepancy(rows, rows.detach())
    distance.backward()
    assert distance.item() == 0
    assert torch.equal(rows.grad, torch.zeros(6, 3))


def test_it_pulls_samples_together():
    x, y = torch.rand(8, 3), torch.rand(9, 3).square().requires_grad_()
    before = central_moment_discrepancy(x, y)
    before.backward()
    assert central_moment_discrepancy(x, y - 0.01 * y.grad) < before


@pytest.mark.parametrize("rows", [(0, 5), (5, 0), (0, 0)])
def test_without_rows_it_is_zero_and_has_a_graph(rows):
    x, y = (torch.rand(n, 3, requires_grad=True) for n in rows)
    distance = central_moment_discrepancy(x, y)
    distance.backward()
    assert distance.item() == 0
