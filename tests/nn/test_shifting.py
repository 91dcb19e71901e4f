"""Shifts of a vector by hand and at their longest; test_telme.py has them by loops over turns."""

import pytest
import torch

from pipeline.nn.shifting import Shifting


def test_a_shift_by_hand():
    # The gate is 1 and H the bias of its map. |h| is 5, so the longest shift 0.1 * 5.
    shifting = Shifting(2, 1, 0.1, 0.0, whole=False)
    for layer in (shifting.gate, shifting.project):
        torch.nn.init.zeros_(layer.weight)
    torch.nn.init.ones_(shifting.gate.bias)
    vectors, mixed = torch.tensor([[3.0, 4.0]]), torch.randn(1, 4)
    for moved, expected in ([6.0, 8.0], [0.3, 0.4]), ([0.03, 0.04], [0.03, 0.04]):
        with torch.no_grad():
            shifting.project.bias.copy_(torch.tensor(moved))
        torch.testing.assert_close(shifting.bounded(vectors, mixed), torch.tensor([expected]))


@pytest.mark.parametrize("shift", [0.1, 0.5])
def test_no_shift_is_longer_than_its_share_of_the_vectors_length(shift):
    shifting = Shifting(16, 2, shift, 0.0, whole=False)
    vectors, mixed = torch.randn(200, 16), 30 * torch.randn(200, 32)
    shares = shifting.bounded(vectors, mixed).norm(dim=-1) / vectors.norm(dim=-1)
    assert shift * 0.999 < shares.max() <= shift * 1.000001
