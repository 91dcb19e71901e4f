"""Graphs over turns by hand, and the relational convolution against a loop over edges."""

import math

import pytest
import torch
from torch.nn.functional import leaky_relu

from pipeline.nn.graph import (
    RELATIONS,
    RelationalGAT,
    RelationalGCN,
    TransformerConv,
    band,
    pair_relations,
    relations,
)
from tests.nn.naive import naive_head

MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])
SPEAKERS = torch.tensor([[0, 1, 0, 2], [0, 0, 9, -4]])


def test_band_by_hand():
    edges = band(MASK, past=2, future=1).int().tolist()
    assert edges[0] == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]]
    assert edges[1] == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert band(MASK, 0, 0)[0].equal(torch.eye(4, dtype=torch.bool))
    assert band(MASK, -1, -1)[0].all()
    assert band(MASK, -1, 0)[0].equal(torch.ones(4, 4, dtype=torch.bool).tril())


def test_relations_by_hand():
    expected = [[0, 3, 1, 3], [2, 0, 3, 3], [0, 2, 0, 3], [2, 2, 2, 0]]
    assert relations(SPEAKERS)[0].tolist() == expected
    renamed = torch.tensor([5, 3, 8])[SPEAKERS[:1]]
    assert relations(renamed)[0].tolist() == expected


def test_relations_by_speaker_by_hand():
    # Of two speakers that are told apart: the third counts as the second.
    expected = [[0, 3, 1, 3], [4, 6, 5, 7], [0, 2, 0, 3], [4, 6, 4, 6]]
    assert pair_relations(SPEAKERS, 2)[0].tolist() == expected
    assert pair_relations(SPEAKERS, 2).max() < 8


@pytest.mark.parametrize("mean", [False, True])
def test_relational_convolution_equals_a_loop(mean):
    layer = RelationalGCN(3, 5, RELATIONS, mean=mean).double()
    nodes = torch.randn(2, 4, 3, dtype=torch.float64)
    edges, relation = band(MASK, 1, 2), relations(SPEAKERS)
    weights = edges.double() if mean else torch.rand(2, 4, 4).double() * edges
    result = layer(nodes, weights, relation)
    for row, length in enumerate((4, 2)):
        for i in range(length):
            expected = layer.root.weight @ nodes[row, i] + layer.root.bias
            for r in range(RELATIONS):
                senders = [
                    j for j in range(length) if edges[row, i, j] and relation[row, i, j] == r
                ]
                messages = [weights[row, i, j] * nodes[row, j] @ layer.weight[r] for j in senders]
                if messages:
                    expected = expected + sum(messages) / (len(messages) if mean else 1)
            torch.testing.assert_close(result[row, i], expected)


def test_with_a_window_of_one_turn_a_turn_stands_alone():
    layer, nodes = RelationalGCN(3, 5, RELATIONS), torch.randn(2, 4, 3)
    result = layer(nodes, band(MASK, 0, 0), relations(SPEAKERS))
    expected = layer.root(nodes) + nodes @ layer.weight[0]
    torch.testing.assert_close(result[MASK], expected[MASK])


def test_the_mean_of_equal_turns_is_a_sum_over_the_relations_there_are():
    layer, node = RelationalGCN(3, 5, RELATIONS, mean=True), torch.randn(3)
    speakers, everyone = torch.tensor([[0, 1, 0]]), torch.ones(1, 3, dtype=torch.bool)
    result = layer(node.expand(1, 3, 3), band(everyone, 5, 5), relations(speakers))
    # The first turn: itself, a later one of the same speaker, a later one of another.
    expected = layer.root(node) + node @ (layer.weight[0] + layer.weight[1] + layer.weight[3])
    torch.testing.assert_close(result[0, 0], expected)


def test_bases_are_mixed_into_the_matrices_of_the_relations():
    mixed, free = RelationalGCN(3, 5, 162, bases=2), RelationalGCN(3, 5, 162)
    edges, relation = band(MASK, -1, -1), pair_relations(SPEAKERS, 9)
    nodes = torch.randn(2, 4, 3)
    free.root = mixed.root
    with torch.no_grad():
        for number, (first, second) in enumerate(mixed.mixture):
            free.weight[number] = first * mixed.weight[0] + second * mixed.weight[1]
    torch.testing.assert_close(mixed(nodes, edges, relation), free(nodes, edges, relation))


def test_attention_by_relation_by_hand():
    # One feature: the second turn hears itself with W_0 = 1 and the first with W_2 = 2.
    layer = RelationalGAT(1, 1, RELATIONS)
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        layer.weight[0], layer.weight[2] = 1, 2
        layer.sender[0], layer.sender[2] = 1, 1
        layer.receiver[2] = -1
        layer.root.bias.fill_(10)
    nodes, both = torch.tensor([[[3.0], [4.0]]]), torch.ones(1, 2, dtype=torch.bool)
    result = layer(nodes, band(both, -1, 0), relations(torch.tensor([[0, 1]])))
    # Scores: of itself 1 * 4 = 4; of the first turn 2 * 3 - 2 * 4 = -2, which leaks 0.2 of it.
    own, other = math.exp(4), math.exp(-0.4)
    expected = [13.0, 10 + (own * 4 + other * 6) / (own + other)]
    torch.testing.assert_close(result[0, :, 0], torch.tensor(expected))


def test_attention_by_relation_equals_a_loop():
    layer = RelationalGAT(3, 5, RELATIONS).double()
    nodes = torch.randn(2, 4, 3, dtype=torch.float64)
    edges, relation = band(MASK, 1, 2), relations(SPEAKERS)
    result = layer(nodes, edges, relation)
    for row, length in enumerate((4, 2)):
        for i in range(length):
            scores, messages = [], []
            for j in (j for j in range(length) if edges[row, i, j]):
                r = relation[row, i, j]
                own, sent = nodes[row, i] @ layer.weight[r], nodes[row, j] @ layer.weight[r]
                score = own @ layer.receiver[r] + sent @ layer.sender[r]
                scores.append(leaky_relu(score, 0.2))
                messages.append(sent)
            shares = torch.stack(scores).softmax(0)
            mixed = sum(a * m for a, m in zip(shares, messages, strict=True))
            torch.testing.assert_close(result[row, i], layer.root(nodes[row, i]) + mixed)


def test_with_one_relation_attention_is_a_plain_gat_beside_a_map_of_the_node():
    layer, nodes = RelationalGAT(3, 5, 1), torch.randn(1, 4, 3)
    edges = band(MASK[:1], -1, -1)
    mapped = nodes[0] @ layer.weight[0]
    score = (mapped @ layer.receiver[0]) + (mapped @ layer.sender[0]).T
    expected = layer.root(nodes[0]) + leaky_relu(score, 0.2).softmax(1) @ mapped
    result = layer(nodes, edges, torch.zeros(1, 4, 4, dtype=torch.long))
    torch.testing.assert_close(result[0], expected)


def test_attention_along_edges_equals_a_loop():
    layer = TransformerConv(3, 5).double()
    nodes, edges = torch.randn(2, 4, 3, dtype=torch.float64), band(MASK, 2, 1)
    result = layer(nodes, edges)
    for row, length in enumerate((4, 2)):
        parts = [layer.query_key_value(nodes[row, j]).split(5) for j in range(length)]
        for i in range(length):
            senders = [j for j in range(length) if edges[row, i, j]]
            keys, values = ([parts[j][part] for j in senders] for part in (1, 2))
            mixed = naive_head(parts[i][0], keys, values)
            torch.testing.assert_close(result[row, i], layer.skip(nodes[row, i]) + mixed)


@pytest.mark.parametrize("layer", [RelationalGAT(3, 5, RELATIONS), TransformerConv(3, 5)])
def test_attention_in_a_window_of_one_turn_reads_that_turn_alone(layer):
    nodes, edges = torch.randn(2, 4, 3), band(MASK, 0, 0)
    if isinstance(layer, RelationalGAT):
        result = layer(nodes, edges, relations(SPEAKERS))
        expected = nodes @ layer.weight[0] + layer.root(nodes)
    else:
        result = layer(nodes, edges)
        expected = layer.query_key_value(nodes)[..., 10:] + layer.skip(nodes)
    torch.testing.assert_close(result[MASK], expected[MASK])
