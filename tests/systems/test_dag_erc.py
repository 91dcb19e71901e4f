"""DAG-ERC by hand, against a loop over edges, and in the size that the reference gives."""

import math

import pytest
import torch

from pipeline.nn.graph import predecessors
from pipeline.systems.dag_erc import DagLayer
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "dag_erc"
EVERYONE = [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def senders(edges):
    """The senders of each turn of a dialogue, [receiver, sender] as lists."""
    return [row.nonzero().flatten().tolist() for row in edges]


@pytest.mark.parametrize(
    ("speakers", "omega", "expected"),
    [
        ([0, 1, 0, 1, 1], 1, [[], [0], [0, 1], [1, 2], [3]]),
        ([0, 1, 0, 1, 1], 2, [[], [0], [0, 1], [0, 1, 2], [1, 2, 3]]),
        ([0, 0, 0, 0, 0], 1, [[], [0], [1], [2], [3]]),
        ([0, 1, 2, 3, 4], 1, EVERYONE),
        ([0, 1, 0, 1, 1], 5, EVERYONE),
    ],
    ids=["pair", "omega 2", "monologue", "five speakers", "far"],
)
def test_a_turn_looks_back_to_its_speakers_own(speakers, omega, expected):
    # Behind the five turns are padded ones, whose speakers are anyone.
    padded = torch.tensor([[*speakers, 0, -7]])
    edges = predecessors(padded, torch.arange(7).unsqueeze(0) < 5, omega)
    assert senders(edges[0]) == [*expected, [], []]


def test_a_layer_by_hand():
    # One feature; gates are open by half: node n = tanh(h) / 2 + m / 2, context n = tanh(m) / 2 +
    # h / 2. A sender's score is its state; maps double those of the same speaker, negate others.
    layer = DagLayer(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.score.weight[0, 1] = 1
        layer.same.weight.fill_(2)
        layer.other.weight.fill_(-1)
        layer.node.weight_ih[2] = layer.context.weight_ih[2] = 1
    speakers = torch.tensor([[0, 1, 0]])
    edges = predecessors(speakers, torch.ones(1, 3, dtype=torch.bool), 1)
    inputs = (1.0, 2.0, -0.5)
    states = layer(torch.tensor(inputs).view(1, 3, 1), edges, speakers[:, :, None] == speakers)

    def new(h, m):
        return (math.tanh(h) + m + math.tanh(m) + h) / 2

    first = new(1.0, 0.0)
    second = new(2.0, -first)
    share = math.exp(first) / (math.exp(first) + math.exp(second))
    third = new(-0.5, 2 * share * first - (1 - share) * second)
    assert first == pytest.approx(0.880797, abs=1e-6)
    torch.testing.assert_close(states.flatten(), torch.tensor([first, second, third]))


def naive_layer(layer, turns, speakers, omega):
    """One layer over one dialogue, edge by edge."""
    new = []
    for i, h in enumerate(turns):
        own, chosen = 0, []
        for j in range(i - 1, -1, -1):
            chosen.append(j)
            own += speakers[j] == speakers[i]
            if own == omega:
                break
        message = torch.zeros_like(h)
        scores = [layer.score(torch.cat((h, new[j]))).exp() for j in chosen]
        for score, j in zip(scores, chosen, strict=True):
            relation = layer.same if speakers[j] == speakers[i] else layer.other
            message = message + score / sum(scores) * relation(new[j])
        new.append(layer.node(h, message) + layer.context(message, h))
    return new


@pytest.mark.parametrize("omega", [1, 2])
def test_it_equals_a_loop_over_edges(omega):
    lengths = (8, 1, 5)
    made = make(NAME, layers=2, omega=omega).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded, expected = made.inputs.joined(batch), []
    for row, length in enumerate(lengths):
        turns, names = list(encoded[row, :length]), batch.speakers[row, :length].tolist()
        levels = [[made.project(turn) for turn in turns]]
        for layer in made.layers:
            levels.append(naive_layer(layer, levels[-1], names, omega))
        expected += [made.head(torch.cat(parts)) for parts in zip(*levels, turns, strict=True)]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_the_first_turn_reads_no_state():
    made = make(NAME)
    batch = batch_of(made, conversations((1, 4)))
    h = made.project(made.inputs.joined(batch)[:, 0])
    zeros = torch.zeros_like(h)
    expected = made.layers[0].node(h, zeros) + made.layers[0].context(zeros, h)
    edges = predecessors(batch.speakers, batch.turn_mask, 1)
    states = made.layers[0](made.project(made.inputs.joined(batch)), edges, edges)
    torch.testing.assert_close(states[:, 0], expected)


def test_who_speaks_matters():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 5)))
    before = logits(made, batch)
    batch.speakers.zero_()
    assert (logits(made, batch) - before).abs().max() > 1e-4


@pytest.mark.parametrize(("layers", "expected"), [(4, 4_473_098), (2, 2_499_848)])
def test_it_has_as_many_parameters_as_the_reference(layers, expected):
    """4.47 M and 2.50 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, hidden=256, layers=layers) == expected
