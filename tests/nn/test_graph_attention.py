"""Graph attention by hand and against a loop over edges, and what it holds in memory."""

import math

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.nn.graph_attention import BLOCK, GATv2
from tests.nn.naive import naive_gatv2


def test_two_turns_by_hand():
    layer = GATv2(1, 1, past=1, future=1)
    for parameter in layer.parameters():
        torch.nn.init.ones_(parameter)
    torch.nn.init.zeros_(layer.receiver.bias)
    # s = (2, -2), r = (1, -3): hidden layers 3, -1 of the first receiver, -1, -5 of the second.
    result = layer(torch.tensor([[[1.0], [-3.0]]]), torch.ones(1, 2, dtype=torch.bool))
    first, second = 1 / (1 + math.exp(-0.2 - 3)), 1 / (1 + math.exp(-1 + 0.2))
    expected = [4 * first - 2 + 1, 4 * second - 2 + 1]
    assert result.flatten().tolist() == pytest.approx(expected)
    assert expected == pytest.approx([2.843337, 1.759898], abs=1e-6)


@pytest.mark.parametrize(("past", "future"), [(2, 1), (0, 0), (16, 16), (-1, 3), (4, -1), (-1, -1)])
def test_it_equals_a_loop_over_edges_and_so_does_its_gradient(past, future):
    lengths = (2 * BLOCK + 3, 5, 1)
    layer = GATv2(3, 2, past, future).double()
    torch.nn.init.normal_(layer.bias)
    nodes = torch.randn(3, lengths[0] + 2, 3, dtype=torch.float64)
    mask = torch.arange(nodes.shape[1]) < torch.tensor(lengths).unsqueeze(1)
    expected = [naive_gatv2(layer, rows[:n]) for rows, n in zip(nodes, lengths, strict=True)]
    expected, result = torch.cat(expected), layer(nodes, mask)[mask]
    torch.testing.assert_close(result, expected)
    direction = torch.randn_like(result)
    gradients = [
        torch.autograd.grad((rows * direction).sum(), list(layer.parameters()))
        for rows in (result, expected)
    ]
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted)


def test_with_a_window_of_one_turn_scores_mean_nothing():
    layer, nodes = GATv2(3, 2, 0, 0), torch.randn(2, 20, 3)
    mask = torch.ones(2, 20, dtype=torch.bool)
    expected = layer.sender(nodes).view(2, 20, 2, 3).mean(2) + layer.bias
    torch.testing.assert_close(layer(nodes, mask), expected)
    with torch.no_grad():
        layer.attention.normal_()
        layer.receiver.weight.normal_()
    torch.testing.assert_close(layer(nodes, mask), expected)


class Largest(TorchDispatchMode):
    """Note the largest tensor that any operation makes."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        result = operation(*arguments, **(keywords or {}))
        tensors = result if isinstance(result, list | tuple) else [result]
        sizes = [t.numel() for t in tensors if isinstance(t, torch.Tensor)]
        self.numbers = max([self.numbers, *sizes])
        return result


def test_no_hidden_layer_of_all_pairs_is_ever_held():
    turns, width, heads, window = 110, 32, 4, 16
    layer, kept = GATv2(width, heads, window, window), []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with Largest() as largest:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            result = layer(torch.randn(1, turns, width), torch.ones(1, turns, dtype=torch.bool))
        result.sum().backward()
    assert largest.numbers == heads * BLOCK * (BLOCK + 2 * window) * width
    at_the_edges = heads * turns * (2 * window + 1) * width
    assert sum(kept) < at_the_edges / 2  # for the gradient
