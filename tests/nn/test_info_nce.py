"""InfoNCE by hand, against a loop over rows, and without rows."""

import math

import pytest
import torch

from pipeline.nn.info_nce import info_nce


def test_two_orthogonal_rows_by_hand():
    rows = torch.eye(2, dtype=torch.float64)
    expected = math.log(1 + math.exp(-10))
    assert info_nce(rows, rows, 0.1).item() == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(4.54e-5, abs=1e-7)
    assert info_nce(5 * rows, 0.2 * rows, 0.1).item() == pytest.approx(expected, rel=1e-9)
    assert info_nce(rows, rows.flip(0), 0.1).item() == pytest.approx(10 + expected)


def test_it_equals_a_loop_over_rows():
    queries, keys = torch.randn(2, 7, 3, dtype=torch.float64)

    def similarity(i, j):
        return (queries[i] @ keys[j] / (queries[i].norm() * keys[j].norm()) / 0.3).exp()

    terms = [-(similarity(i, i) / sum(similarity(i, j) for j in range(7))).log() for i in range(7)]
    torch.testing.assert_close(info_nce(queries, keys, 0.3), sum(terms) / 7)


@pytest.mark.parametrize("rows", [0, 1])
def test_without_negatives_there_is_nothing_to_learn(rows):
    queries, keys = (torch.randn(rows, 3, requires_grad=True) for _ in range(2))
    loss = info_nce(queries, keys, 0.1)
    assert loss == 0
    loss.backward()
    assert queries.grad.isfinite().all()
