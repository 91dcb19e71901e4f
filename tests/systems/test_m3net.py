"""M3NET by hand, against incidence matrices and lists of edges, and in the reference's size."""

import math

import pytest
import torch

from pipeline.systems.base import parameters
from pipeline.systems.m3net import FrequencyLayer, Hypergraph
from tests.systems.zoo import (
    DIMENSIONS,
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "m3net"


def mask(turns):
    return torch.ones(1, turns, dtype=torch.bool)


def nodes_of(*modalities):
    """Numbers by modality and turn as nodes of one feature, [modality, 1, turn, 1]."""
    return torch.tensor(modalities).unsqueeze(1).unsqueeze(-1)


def test_a_convolution_of_the_hypergraph_by_hand():
    layer = Hypergraph(3, 1, 1, weighted=True)
    one = layer(nodes_of([3.0], [-1.0], [4.0]), mask(1))
    torch.testing.assert_close(one, nodes_of([2.5], [0.5], [3.0]))  # their mean is 2
    # Means 2, -2, 2 of the modalities, 1 and 1/3 of the turns; -0.01 below zero.
    two = layer(nodes_of([1.0, 3.0], [2.0, -6.0], [0.0, 4.0]), mask(2))
    expected = nodes_of([3 / 2, 7 / 6], [-0.005, -0.01 * 5 / 6], [3 / 2, 7 / 6])
    torch.testing.assert_close(two, expected)
    # v = (2, 1, 1), w = (1, 1, 3), w_turn = 2: means 1, -2, 2, then 3/4 and 1/4.
    with torch.no_grad():
        layer.log_weights.copy_(torch.tensor([2.0, 1, 1, 1, 1, 3, 2]).log())
    two = layer(nodes_of([1.0, 3.0], [2.0, -6.0], [0.0, 4.0]), mask(2))
    audio = [-0.01 * 5 / 12, -0.01 * 7 / 12]
    torch.testing.assert_close(two, nodes_of([7 / 12, 5 / 12], audio, [11 / 20, 9 / 20]))


def test_a_field_that_is_the_same_everywhere_stays():
    field = torch.rand(1, 1, 1, 5).expand(3, 1, 4, 5)
    torch.testing.assert_close(Hypergraph(3, 5, 3, weighted=False)(field, mask(4)), field)


def test_a_layer_of_the_high_frequency_branch_by_hand():
    layer = FrequencyLayer(1)
    with torch.no_grad():
        layer.gate.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.gate.bias.fill_(3)
    # Of two turns and modalities, each node has two neighbours.
    result = layer(nodes_of([1.0, -1.0], [-2.0, 0.5]), mask(2))
    first = 1 + (-math.tanh(1 - 2 + 3) - 2 * math.tanh(1 - 4 + 3)) / 2
    last = 0.5 + (-2 * math.tanh(0.5 - 4 + 3) - math.tanh(0.5 - 2 + 3)) / 2
    assert result[0, 0, 0, 0].item() == pytest.approx(first)
    assert result[1, 0, 1, 0].item() == pytest.approx(last)
    assert (first, last) == pytest.approx((0.517986, 0.509543), abs=1e-6)


@pytest.mark.parametrize(("bias", "share"), [(50.0, 2), (0.0, 1), (-50.0, 0)])
@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_gates_that_are_open_shut_or_reversed_double_keep_or_cancel_a_field(
    modalities, bias, share
):
    layer = FrequencyLayer(5)
    torch.nn.init.zeros_(layer.gate.weight)
    torch.nn.init.constant_(layer.gate.bias, bias)
    field = torch.randn(1, 1, 1, 5).expand(modalities, 1, 4, 5)
    torch.testing.assert_close(layer(field, mask(4)), share * field)


def test_a_node_without_neighbours_stays_as_it_is():
    node = torch.randn(1, 1, 1, 5)
    assert torch.equal(FrequencyLayer(5)(node, mask(1)), node)


def naive_logits(made, turns, speakers):
    """One dialogue from its encoded turns, [modality, turn, width]."""
    modalities, count, width = turns.shape
    encoded = list(turns)
    if "text" in made.shape.features:
        encoded[0] = made.gru.rnn(turns[:1])[0][0] + made.speakers.weight[speakers]
    start = made.start(torch.cat(encoded))  # node number: modality * count + turn

    hyperedges = [[m * count + t for t in range(count)] for m in range(modalities)]
    hyperedges += [[m * count + t for m in range(modalities)] for t in range(count)]
    incidence = torch.zeros(len(start), len(hyperedges), dtype=torch.float64)
    for number, members in enumerate(hyperedges):
        incidence[members, number] = 1
    weights = made.hypergraph.log_weights.exp()
    of_nodes = weights[:modalities].repeat_interleave(count)
    of_edges = torch.cat((weights[modalities:-1], weights[-1:].expand(count)))
    x = start
    for bias in made.hypergraph.biases:
        messages = (incidence.T @ x) / (incidence.T @ of_nodes).unsqueeze(1)
        x = (incidence @ messages) / (incidence @ of_edges).unsqueeze(1) + bias
        x = torch.where(x > 0, x, 0.01 * x)

    g = start
    for layer in made.frequency:
        rows = []
        for i in range(len(g)):
            neighbours = [
                j
                for j in range(len(g))
                if j != i and (j // count == i // count or j % count == i % count)
            ]
            messages = [torch.tanh(layer.gate(torch.cat((g[i], g[j])))) * g[j] for j in neighbours]
            rows.append(g[i] + sum(messages) / max(len(neighbours), 1))
        g = torch.stack(rows)
    both = torch.cat((x, g), dim=1).view(modalities, count, 2 * width)
    return made.head[2](both.movedim(0, 1).flatten(1).clamp(min=0))


@pytest.mark.parametrize("modalities", ["tav", "tv", "a"])
def test_it_equals_incidence_matrices_and_lists_of_edges(modalities):
    lengths = (6, 1, 4)
    names = tuple(m for m in DIMENSIONS if m[0] in modalities)
    made = make(NAME, modalities=names, layers=2, frequency_layers=2).double()
    for parameter in made.hypergraph.parameters():
        torch.nn.init.normal_(parameter)
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded = made.inputs(batch)
    expected = [
        naive_logits(made, encoded[:, row, :length], batch.speakers[row, :length])
        for row, length in enumerate(lengths)
    ]
    torch.testing.assert_close(logits(made, batch), torch.cat(expected))


def test_weights_are_learned_unless_they_are_fixed_at_1():
    learned, fixed = make(NAME), make(NAME, hyperedge_weights="none")
    fixed.load_state_dict(learned.state_dict(), strict=False)
    batch = batch_of(learned, conversations((6, 1, 4)))
    assert torch.equal(logits(learned, batch), logits(fixed, batch))
    assert parameters(learned) - parameters(fixed) == 7
    logits(learned, batch).square().sum().backward()
    assert (learned.hypergraph.log_weights.grad != 0).all()


def test_who_speaks_matters_where_there_is_text():
    for modalities, matters in ((("text", "audio"), True), (("audio", "visual"), False)):
        made = make(NAME, modalities=modalities)
        batch = batch_of(made, conversations((6, 5)))
        before = logits(made, batch)
        batch.speakers.zero_()
        assert torch.equal(logits(made, batch), before) != matters


@pytest.mark.parametrize(("weights", "expected"), [("by_kind", 870_417), ("none", 870_410)])
def test_it_has_as_many_parameters_as_the_reference(weights, expected):
    """0.87 M beside the inputs, of 256 features and for 6 classes; seven are weights by kind.

    The reference puts three linear maps after its inputs; the code has them in the inputs' place.
    """
    sizes = {"width": 256, "layers": 3, "frequency_layers": 4}
    assert size_of(NAME, **sizes, hyperedge_weights=weights) + 3 * (256 * 256 + 256) == expected
