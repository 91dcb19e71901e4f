"""Graphs over turns by hand, and the relational convolution against a loop over edges."""

import pytest
import torch

from pipeline.nn.graph import RELATIONS, RelationalGCN, band, pair_relations, relations

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
