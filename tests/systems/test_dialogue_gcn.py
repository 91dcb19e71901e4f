"""DialogueGCN by hand, against a loop over edges, and in the size that the reference gives."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.nn.graph import band, pair_relations, relations
from pipeline.systems.dialogue_gcn import POSITIONS, EdgeWeights
from tests.systems.zoo import (
    batch_of,
    conversation,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "dialogue_gcn"
NEIGHBOURS = band(torch.ones(1, 3, dtype=torch.bool), 1, 1)
STATES = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]])


def test_edge_weights_of_the_paper_by_hand():
    weigh = EdgeWeights(2, "paper")
    torch.nn.init.eye_(weigh.score.weight)
    # Products of states: 1 with itself and 0 for the first turn; 0, 4, 2 for the second; 2, 2.
    e = math.e
    second = 1 + e**4 + e**2
    expected = [[e / (e + 1), 1 / (e + 1), 0], [1 / second, e**4 / second, e**2 / second]]
    expected.append([0, 0.5, 0.5])
    torch.testing.assert_close(weigh(STATES, NEIGHBOURS)[0], torch.tensor(expected))


def test_edge_weights_of_the_release_by_hand():
    # The first turn likes the first feature, the second the second; the third likes nothing.
    weigh = EdgeWeights(2, "release")
    with torch.no_grad():
        weigh.score.weight.zero_()
        weigh.score.weight[0, 0] = weigh.score.weight[1, 1] = 1
    e = math.e
    second = 1 + e**2 + e
    sent = [[e / (e + 1), 1 / (e + 1), 0], [1 / second, e**2 / second, e / second], [0, 0.5, 0.5]]
    torch.testing.assert_close(weigh(STATES, NEIGHBOURS)[0], torch.tensor(sent).T)


def test_turns_after_the_last_row_of_the_release_share_it():
    weigh = EdgeWeights(2, "release")
    everyone = torch.ones(1, POSITIONS + 3, dtype=torch.bool)
    states = torch.randn(1, POSITIONS + 3, 2)
    weights = weigh(states, band(everyone, -1, -1))[0]
    torch.testing.assert_close(weights[:, -1], weights[:, POSITIONS - 1])
    torch.testing.assert_close(weights.sum(0), torch.ones(POSITIONS + 3))
    assert not torch.allclose(weights[:, 0], weights[:, -1])


def naive_edge_weights(made, states, past, future):
    """Receiver by sender, [i][j], of one dialogue; the release's in its three steps."""
    turns, score = range(len(states)), made.edge_weights.score.weight
    weights = torch.zeros(len(states), len(states), dtype=torch.float64)
    if made.settings.edge_weights == "paper":
        for i in turns:
            near = [j for j in turns if i - past <= j <= i + future]
            shares = [(states[i] @ score @ states[j]).exp() for j in near]
            for j, share in zip(near, shares, strict=True):
                weights[i, j] = share / sum(shares)
        return weights
    for j in turns:
        over_all = torch.stack([score[j] @ states[i] for i in turns]).softmax(0)
        near = [i for i in turns if i - past <= j <= i + future]
        for i in near:
            weights[i, j] = over_all[i] / sum(over_all[k] for k in near)
    return weights


def naive_logits(made, states, relation, past, future):
    """One dialogue from the states of its LSTM, edge by edge."""
    weights, turns = naive_edge_weights(made, states, past, future), range(len(states))
    first, second = [], []
    for i in turns:
        near = [j for j in turns if i - past <= j <= i + future]
        messages = [
            weights[i, j] * states[j] @ made.relational.weight[relation[i, j]] for j in near
        ]
        first.append(made.relational.root(states[i]) + sum(messages))
    for i in turns:
        near = [j for j in turns if i - past <= j <= i + future]
        heard = sum(first[j] @ made.plain.weight[0] for j in near)
        second.append(made.plain.root(first[i]) + heard)
    joined = [torch.cat(both) for both in zip(states, second, strict=True)]
    if made.attention is None:
        return [made.head(turn) for turn in joined]
    results = []
    for turn in joined:
        query = made.attention.query(turn)
        shares = [(query @ other).exp() for other in joined]
        mixed = sum(s * other for s, other in zip(shares, joined, strict=True)) / sum(shares)
        results.append(made.head(mixed))
    return results


@pytest.mark.parametrize(("kind", "attention"), [("four", False), ("pairs", True)])
@pytest.mark.parametrize("edge_weights", ["paper", "release"])
@pytest.mark.parametrize("modalities", [("text",), ("text", "audio", "visual")], ids=len)
def test_it_equals_a_loop_over_edges(modalities, edge_weights, kind, attention):
    lengths, window = (6, 1, 4), {"past": 2, "future": 1}
    options = {"modalities": modalities, "edge_weights": edge_weights, "relations": kind}
    made = make(NAME, layers=2, speakers=2, attention=attention, **options, **window).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    relation = relations(batch.speakers) if kind == "four" else pair_relations(batch.speakers, 2)
    states = made.lstm(made.inputs.joined(batch), batch.turn_mask)
    expected = [
        logit
        for row, length in enumerate(lengths)
        for logit in naive_logits(made, states[row, :length], relation[row], **window)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


@pytest.mark.parametrize("edge_weights", ["paper", "release"])
def test_with_a_window_of_one_turn_the_graph_is_two_maps_of_it(edge_weights):
    made = make(NAME, past=0, future=0, edge_weights=edge_weights)
    batch = batch_of(made, conversations((5, 3)))
    states = made.lstm(made.inputs.joined(batch), batch.turn_mask)
    nodes = made.relational.root(states) + states @ made.relational.weight[0]
    nodes = made.plain.root(nodes) + nodes @ made.plain.weight[0]
    expected = made.head(torch.cat((states, nodes), -1))
    torch.testing.assert_close(logits(made, batch), expected[batch.turn_mask])


def test_equal_matrices_of_two_relations_make_a_weighted_mean_of_the_window():
    # One speaker that is told apart leaves two relations: earlier and later.
    made = make(NAME, relations="pairs", speakers=1, past=2, future=2)
    assert len(made.relational.weight) == 2
    batch = batch_of(made, conversations([6]))
    states = made.lstm(made.inputs.joined(batch), batch.turn_mask)
    with torch.no_grad():
        made.relational.weight[1] = made.relational.weight[0]
    edges = band(batch.turn_mask, 2, 2)
    weights = made.edge_weights(states, edges)
    nodes = made.relational(states, weights, pair_relations(batch.speakers, 1))
    expected = made.relational.root(states) + weights @ states @ made.relational.weight[0]
    torch.testing.assert_close(nodes, expected)


def test_a_turn_alone_has_no_window():
    near, far = make(NAME, past=0, future=0), make(NAME, past=-1, future=-1)
    far.load_state_dict(near.state_dict())
    alone, pair = (batch_of(near, conversations([turns])) for turns in (1, 2))
    torch.testing.assert_close(logits(near, alone), logits(far, alone))
    assert (logits(near, pair) - logits(far, pair)).abs().max() > 1e-4


def test_a_monologue_has_no_more_relations_by_pairs_than_by_four():
    four, pairs = make(NAME), make(NAME, relations="pairs", speakers=2)
    state = four.state_dict()
    weight = torch.cat((state["relational.weight"][:2], torch.randn_like(pairs.relational.weight)))
    pairs.load_state_dict({**state, "relational.weight": weight[:8]})
    monologue, dialogue = (
        batch_of(four, conversations([7], speakers=speakers)) for speakers in (1, 3)
    )
    torch.testing.assert_close(logits(four, monologue), logits(pairs, monologue))
    assert (logits(four, dialogue) - logits(pairs, dialogue)).abs().max() > 1e-4


def test_speakers_are_known_by_number_in_pairs_alone():
    four, pairs = make(NAME), make(NAME, relations="pairs", speakers=9)
    assert (four.NUMBERS_SPEAKERS, pairs.NUMBERS_SPEAKERS) == (False, True)
    batch = batch_of(four, conversations([9]))
    renamed = replace(batch, speakers=torch.tensor([4, 0, 7])[batch.speakers])
    torch.testing.assert_close(logits(four, batch), logits(four, renamed))
    assert (logits(pairs, batch) - logits(pairs, renamed)).abs().max() > 1e-4


def test_speakers_beyond_those_told_apart_count_as_the_last():
    made = make(NAME, relations="pairs", speakers=2)
    batch = batch_of(made, conversations([9]))
    assert batch.speakers.max() == 2
    clamped = replace(batch, speakers=batch.speakers.clamp(max=1))
    assert torch.equal(logits(made, batch), logits(made, clamped))


@pytest.mark.parametrize(
    "options",
    [{"edge_weights": "release"}, {"relations": "pairs"}, {"attention": True}],
    ids=str,
)
def test_neither_padding_nor_batch_mates_reach_a_prediction_by_any_option(options):
    made = make(NAME, **options)
    dialogues = [conversation(1, 130, speakers=12), *conversations((6, 1))]
    batch = batch_of(made, dialogues, turns=5)
    batch.speakers[~batch.turn_mask] = torch.tensor([17, -1, 3]).repeat(99)[: 3 * 135 - 137]
    alone = torch.cat([logits(made, batch_of(made, [d])) for d in dialogues])
    torch.testing.assert_close(logits(made, batch), alone, rtol=1e-5, atol=1e-5)
    logits(made, batch).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"relations": "four"}, 1_775_110),
        ({"relations": "pairs", "speakers": 2}, 1_906_182),
        ({"relations": "pairs", "speakers": 9}, 2_631_938),
        ({"relations": "four", "edge_weights": "release"}, 1_775_110 - 256 * (256 - POSITIONS)),
    ],
    ids=str,
)
def test_it_has_as_many_parameters_as_the_reference(options, expected):
    """1.78 M, 1.91 M and 2.63 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, hidden=128, layers=2, attention=True, **options) == expected
