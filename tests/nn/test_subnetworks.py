"""Subnetworks against a loop over layers, and what they make of a missing modality."""

import torch

from pipeline.nn.subnetworks import Subnetworks


def test_they_equal_a_loop_over_layers():
    made = Subnetworks(2, 5, 4, 3, dropout=0.5).double().eval()
    rows = torch.randn(2, 6, 5, dtype=torch.float64)
    result = made(rows, torch.ones(2, 6, dtype=torch.bool))
    for network, of_modality, expected in zip(made.networks, rows, result, strict=True):
        for row, vector in zip(of_modality, expected, strict=True):
            for layer in (network[1], network[3], network[5]):
                row = (layer.weight @ row + layer.bias).clamp(min=0)
            torch.testing.assert_close(vector, torch.cat((torch.ones(1).double(), row)))
    assert result[..., 1:].any()


def test_a_missing_modality_is_a_1_and_zeros_which_learn_nothing():
    made = Subnetworks(1, 5, 4, 3, dropout=0.0)
    rows = torch.randn(1, 2, 5, requires_grad=True)
    result = made(rows, torch.tensor([[True, False]]))
    assert result[0, 1].tolist() == [1, 0, 0, 0]
    result.square().sum().backward()
    assert rows.grad[0, 0].any() and not rows.grad[0, 1].any()
