"""Graphs over turns and modalities by hand, and their convolutions against loops over nodes."""

import math
import os
import subprocess
import sys

import pytest
import torch

from pipeline.base.arithmetic import PINS
from pipeline.nn.multimodal_graph import (
    GCNII,
    DeepGraph,
    MultimodalGraphSettings,
    angular_adjacency,
    arccos,
)
from tests.conftest import ROOT
from tests.nn.naive_graph import naive_deep_graph, naive_edges

LENGTHS = (4, 1, 2)
MASK = torch.arange(4) < torch.tensor(LENGTHS).unsqueeze(1)
MEMORY = pytest.mark.parametrize("memory", [False, True])


def sizes(**options):
    return MultimodalGraphSettings(**{"width": 6, "hidden": 5, "layers": 3, "dropout": 0} | options)


def nodes_of(modalities: int = 3, width: int = 6):
    return torch.randn(modalities, *MASK.shape, width, dtype=torch.float64)


def test_a_turn_with_orthogonal_modalities_by_hand():
    adjacency = angular_adjacency(torch.eye(3).view(3, 1, 1, 3), MASK[1:2, :1])
    # A node is 1 - arccos(0.99999) / pi = 0.998576 like itself and 1 - (pi / 2) / pi = 0.5 like
    # the others: its degree is 1.998576.
    expected = torch.full((3, 3), 0.250178).fill_diagonal_(0.499644)
    torch.testing.assert_close(adjacency[0], expected, rtol=0, atol=1e-6)
    assert adjacency[0, 0, 0].item() * 1.998576 == pytest.approx(0.998576, abs=1e-6)


def test_two_turns_of_equal_modalities_by_hand():
    adjacency = angular_adjacency(torch.ones(3, 1, 2, 4), MASK[2:, :2])
    # Of three modalities with two turns: each node is joined to itself, to its modality's other
    # turn and to its turn's other modalities.
    quarter = [
        [1, 1, 1, 0, 1, 0],
        [1, 1, 0, 1, 0, 1],
        [1, 0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0, 1],
        [1, 0, 1, 0, 1, 1],
        [0, 1, 0, 1, 1, 1],
    ]
    torch.testing.assert_close(adjacency[0], torch.tensor(quarter) / 4)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_edges_equal_those_of_a_loop_over_pairs(modalities):
    nodes = nodes_of(modalities)
    adjacency = angular_adjacency(nodes, MASK)
    for row, length in enumerate(LENGTHS):
        expected = torch.zeros(modalities, 4, modalities, 4, dtype=torch.float64)
        for ((m, i), (n, j)), weight in naive_edges(nodes[:, row, :length]).items():
            expected[m, i, n, j] = weight
        torch.testing.assert_close(adjacency[row], expected.flatten(0, 1).flatten(1, 2))


def test_one_modality_is_a_complete_graph():
    adjacency = angular_adjacency(nodes_of(1), MASK)
    assert (adjacency != 0).equal(MASK.unsqueeze(1) & MASK.unsqueeze(2))


def test_a_zero_vector_is_half_like_every_other_and_has_a_bounded_gradient():
    nodes = nodes_of(2)
    nodes[:, 0, 1] = 0
    nodes.requires_grad_()
    adjacency = angular_adjacency(nodes[:, :1], MASK[:1])
    adjacency.square().sum().backward()
    assert 0 < nodes.grad[:, 0, 1].abs().max() < 1e3
    degree = 0.5 * (4 + 1)  # the turns of its modality, itself among them; the other of its turn
    assert adjacency[0, 1, 1].item() == pytest.approx(0.5 / degree)


@pytest.mark.parametrize("width", [2, 4096])
def test_equal_vectors_are_finite_in_value_and_gradient(width):
    nodes = torch.randn(50, 1, 1, width).repeat(1, 1, 4, 1).requires_grad_()
    adjacency = angular_adjacency(nodes, MASK[:1])
    adjacency.square().sum().backward()
    assert adjacency.isfinite().all()
    assert nodes.grad.isfinite().all()


def test_a_layer_by_hand():
    # Two nodes that send to each other; h0 differs from h.
    states, first = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[10.0], [20.0]]])
    layer = GCNII(1, alpha=0.1, number=1)
    layer.weight.data = torch.tensor([[3.0], [0.5]])
    theta = math.log(1.5)
    assert theta == pytest.approx(0.405465, abs=1e-6)
    result = layer(states, first, torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    # 3 * 2 + 0.5 * 10 and 0.9 * 2 + 0.1 * 10; 3 * 1 + 0.5 * 20 and 0.9 * 1 + 0.1 * 20.
    expected = [theta * 11 + (1 - theta) * 2.8, theta * 13 + (1 - theta) * 2.9]
    torch.testing.assert_close(result[0, :, 0], torch.tensor(expected))
    assert expected[0] == pytest.approx(6.124813, abs=1e-6)


def test_with_alpha_1_and_zero_maps_no_node_hears_another():
    graph, nodes = DeepGraph(sizes(layers=1), alpha=1.0).double(), nodes_of()
    torch.nn.init.zeros_(graph.layers[0].weight)
    result = graph(nodes, MASK).unflatten(-1, (3, -1))[..., 6:]
    alone = (1 - math.log(1.5)) * torch.relu(graph.project(nodes)).movedim(0, 2)
    torch.testing.assert_close(result[MASK], alone[MASK])


class Doubled(torch.nn.Module):
    """In the place of dropout, to see where it acts."""

    def forward(self, values):
        return 2 * values


@MEMORY
@pytest.mark.parametrize("modalities", [1, 3])
def test_layers_and_where_dropout_acts_equal_a_loop_over_nodes(memory, modalities):
    graph = DeepGraph(sizes(), alpha=0.2, memory=memory).double()
    graph.dropout = Doubled()
    nodes = nodes_of(modalities)
    result = graph(nodes, MASK)
    for row, length in enumerate(LENGTHS):
        expected = naive_deep_graph(graph, nodes[:, row, :length], 0.2, Doubled())
        torch.testing.assert_close(result[row, :length], torch.stack(expected))


@MEMORY
def test_padding_may_hold_nan(memory):
    graph = DeepGraph(sizes(), alpha=0.2, memory=memory).double()
    nodes = nodes_of().requires_grad_()
    garbage = nodes.masked_fill(~MASK.unsqueeze(-1), torch.nan)
    result = graph(garbage, MASK)
    assert torch.equal(result, graph(nodes, MASK))
    result[MASK].sum().backward()
    assert (nodes.grad[:, ~MASK] == 0).all()
    assert nodes.grad.isfinite().all()


@MEMORY
def test_sixty_four_layers_pass_gradients_to_the_first(memory):
    graph = DeepGraph(sizes(layers=64), alpha=0.1, memory=memory).double()
    nodes = nodes_of().requires_grad_()
    hidden = graph(nodes, MASK).unflatten(-1, (3, -1))[..., 6:]
    hidden[MASK].square().sum().backward()
    for gradient in (nodes.grad, graph.layers[0].weight.grad, graph.layers[63].weight.grad):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 1e-6


@MEMORY
def test_bfloat16_nodes_are_read_in_float32(memory):
    graph, nodes = DeepGraph(sizes(), alpha=0.1, memory=memory), nodes_of().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = graph(nodes, MASK)
    assert torch.equal(result, graph(nodes.float(), MASK))


def test_angles_are_those_of_arccos() -> None:
    cosine = torch.linspace(-0.99999, 0.99999, 1001, dtype=torch.float64, requires_grad=True)
    angles, expected = arccos(cosine), torch.arccos(cosine)
    torch.testing.assert_close(angles, expected)
    slopes, theirs = (torch.autograd.grad(x.sum(), cosine)[0] for x in (angles, expected))
    torch.testing.assert_close(slopes, theirs)


ANGLES = """
import hashlib, torch
from pipeline.nn.multimodal_graph import arccos
torch.set_num_threads(1)
cosine = torch.linspace(-0.99999, 0.99999, 100003)
print(hashlib.sha256(arccos(cosine).numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_angles_have_the_same_bytes_on_any_cpu_with_avx2() -> None:
    """Those of an AMD EPYC, where torch's own arccos has others than on Intel."""
    done = subprocess.run(
        [sys.executable, "-c", ANGLES],
        env={**os.environ, **PINS},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        "28627df5706c731a37e3479f67947f8e00ce0792fd3b642e1e50cfa22b7ddd82"
    ]
