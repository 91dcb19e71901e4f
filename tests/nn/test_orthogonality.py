"""Orthogonality by hand, of rows that share nothing, and without rows."""

import pytest
import torch

from pipeline.nn.orthogonality import orthogonality


def test_by_hand():
    # Centred, of length 1: +-(1, -1) / sqrt(2); X'X = (1, -1; -1, 1).
    assert orthogonality(torch.eye(2), torch.eye(2)).item() == pytest.approx(1, abs=1e-5)
    # Y: centred (0, -1) and (0, 1); X'Y = sqrt(1/2) (0, -2; 0, 2).
    y = torch.tensor([[3.0, 1.0], [3.0, 5.0]])
    assert orthogonality(torch.eye(2), y).item() == pytest.approx(1, abs=1e-5)
    assert orthogonality(y, y).item() == pytest.approx(1, abs=1e-5)  # (0, 0; 0, 2)


def test_features_that_vary_apart_are_orthogonal():
    x = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    y = torch.tensor([[2.0], [-2.0], [2.0], [-2.0]])
    assert orthogonality(x, y).item() == pytest.approx(0, abs=1e-12)
    assert orthogonality(x, x).item() == pytest.approx(16, abs=1e-3)


def test_neither_a_shift_nor_the_scale_of_a_sample_changes_it():
    x, y = (torch.randn(5, 3, dtype=torch.float64) for _ in range(2))
    expected = orthogonality(x, y)
    torch.testing.assert_close(orthogonality(3 * x + 7, y - 2), expected, rtol=1e-4, atol=0)


def test_a_sample_shrinks_only_where_its_lengths_have_no_gradient():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    # X'Y = (2, 0; 0, 0), of which 2 * 2 / 4 is the gradient of the first entry.
    for fixed, expected in ((True, rows), (False, torch.zeros(2, 2))):
        x = rows.clone().requires_grad_()
        orthogonality(x, rows, fixed_lengths=fixed).backward()
        torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("rows", [0, 1])
def test_without_two_rows_it_is_zero_and_has_a_graph(rows, fixed):
    x, y = (torch.randn(rows, 3, requires_grad=True) for _ in range(2))
    value = orthogonality(x, y, fixed_lengths=fixed)
    value.backward()
    assert value.item() == 0
    assert x.grad.isfinite().all()
