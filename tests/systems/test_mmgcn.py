"""MMGCN by hand, against a loop over nodes, and in the size that the reference gives."""

import pytest
import torch
from torch import nn

from tests.nn.naive_graph import naive_deep_graph
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "mmgcn"
SUBSETS = [("text", "audio", "visual"), ("text", "visual"), ("audio", "visual"), ("audio",)]


def test_by_hand():
    # Two turns whose nodes are all equal: 6 nodes with 4 neighbours each, of weight 0.25.
    made = make(NAME, modalities=("audio", "visual"), width=2, hidden=1, layers=1)
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        for modality, bias in (("audio", (2.0, 0.0)), ("visual", (2.0, 0.0))):
            made.inputs.encoders[modality].project.bias.copy_(torch.tensor(bias))
        made.graph.project.weight.fill_(0.5)  # h0 = 1
        made.graph.layers[0].weight.copy_(torch.tensor([[3.0], [1.0]]))
        made.head[2].weight[0] = torch.tensor([1.0, 0, 10, 0, 0, 100])
    batch = batch_of(made, conversations([2], missing=0.0))
    # A h = 1, since each row of 3 equal weights sums to 1; h = ln 1.5 * (3 + 1) + (1 - ln 1.5) * 1.
    hidden = 1 + 3 * 0.405465
    expected = torch.tensor([2 + 10 * hidden + 100 * hidden, 0, 0, 0])
    torch.testing.assert_close(logits(made, batch), expected.expand(2, 4), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_it_equals_a_loop_over_nodes(modalities):
    lengths = (5, 1, 3)
    made = make(NAME, modalities=modalities, layers=3).double()
    batch = in_float64(batch_of(made, conversations(lengths, speakers=4), turns=2))
    encoded, expected = made.inputs(batch), []
    for row, length in enumerate(lengths):
        nodes = list(encoded[:, row, :length])
        if "text" in modalities:
            names = batch.speakers[row, :length]
            nodes[0] = made.lstm.rnn(nodes[0])[0] + made.speakers.weight[names]
        for both in naive_deep_graph(made.graph, torch.stack(nodes), alpha=0.1):
            expected.append(made.head[2].weight @ both.clamp(min=0) + made.head[2].bias)
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_a_turn_that_lacks_a_modality_keeps_the_node_and_others_hear_it():
    made = make(NAME)
    batch = batch_of(made, conversations([5], missing=0.0))
    for lacking, heard in ((False, False), (True, True)):
        batch.present["visual"][0, 1] = not lacking
        before = logits(made, batch)
        with torch.no_grad():
            made.inputs.missing[2].neg_()
        changed = (logits(made, batch) - before).abs().amax(1) > 1e-4
        assert changed.tolist() == [heard] * 5


def test_who_speaks_reaches_the_graph_by_the_text_alone():
    """A ninth and a fortieth speaker share a vector; without text nobody is known."""
    made, without = make(NAME), make(NAME, modalities=("audio", "visual"))
    dialogues = conversations((6, 5), speakers=2)
    batch = batch_of(made, dialogues)
    before, silent = logits(made, batch), logits(without, batch_of(without, dialogues))
    batch.speakers.add_(1)
    assert (logits(made, batch) - before).abs().max() > 1e-3
    batch.speakers.fill_(8)
    ninth = logits(made, batch)
    batch.speakers.fill_(39)
    assert torch.equal(logits(made, batch), ninth)
    other = batch_of(without, dialogues)
    other.speakers.fill_(3)
    assert torch.equal(logits(without, other), silent)


@pytest.mark.parametrize(("layers", "reference"), [(4, 1_161_094), (64, 3_127_174)])
def test_it_has_as_many_parameters_as_the_reference(layers, reference):
    """1.16 M and 3.13 M beside the inputs, of 256 features and for 6 classes.

    The reference puts three linear maps after its inputs; the code has them in the inputs' place.
    """
    assert size_of(NAME, width=256, hidden=128, layers=layers) + 3 * (256 * 256 + 256) == reference
