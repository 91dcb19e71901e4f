"""MM-DFN by hand, against loops over speakers and nodes, and in the size of the reference."""

import math

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

NAME = "mm_dfn"
SUBSETS = [("text", "audio", "visual"), ("text", "visual"), ("audio", "visual"), ("audio",)]
PUBLISHED = {"meld": (1.5, 0.5, 0.5), "iemocap": (1.0, 3.0, 0.0)}


def parties(text: float, audio: float, visual: float) -> dict[str, float]:
    """Settings of k by modality."""
    return {"text_party": text, "audio_party": audio, "visual_party": visual}


def encoded_nodes(made, batch):
    """The nodes that the graph reads, [modality, batch, turn, width]."""
    nodes = []
    with made.graph.register_forward_pre_hook(lambda _, args: nodes.append(args[0])):
        made(batch)
    return nodes[0]


def test_the_memory_across_layers_by_hand():
    # One node, which hears itself alone: A = 1. Gates of the LSTM are open by half, and its cell
    # takes in half of tanh(q), q being what the layer is given.
    made = make(
        NAME, modalities=("audio",), width=2, hidden=1, layers=2, **parties(0, 0, 0)
    ).double()
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        made.inputs.encoders["audio"].project.bias.fill_(1)
        made.graph.project.weight.fill_(0.5)  # h0 = 1
        made.graph.cell.weight_ih[2] = 1
        made.head[2].weight[0, 2] = 1
    batch = in_float64(batch_of(made, conversations([1], missing=0.0)))
    # W = 0: a layer keeps (1 - theta) (0.8 of what it hears + 0.2 of h0), and q is added.
    first_cell = 0.5 * math.tanh(1)
    first = (1 - math.log(1.5)) * (0.8 * 0.5 * math.tanh(first_cell) + 0.2) + 1
    second_cell = 0.5 * first_cell + 0.5 * math.tanh(first)
    second = (1 - math.log(1.25)) * (0.8 * 0.5 * math.tanh(second_cell) + 0.2) + first
    assert logits(made, batch)[0].tolist() == pytest.approx([second, 0, 0, 0])
    assert second == pytest.approx(1.529353, abs=1e-6)


@pytest.mark.parametrize("corpus", PUBLISHED)
@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_it_equals_loops_over_speakers_and_nodes(modalities, corpus):
    lengths = (5, 1, 3)
    weights = parties(*PUBLISHED[corpus])
    made = make(NAME, modalities=modalities, layers=3, **weights).double()
    batch = in_float64(batch_of(made, conversations(lengths, speakers=3), turns=2))
    encoded, expected = made.inputs(batch), []
    for row, length in enumerate(lengths):
        names = batch.speakers[row, :length].tolist()
        nodes = []
        for modality, turns in zip(modalities, encoded[:, row, :length], strict=True):
            base = made.gru.rnn(turns)[0] if modality == "text" else turns
            party = torch.empty_like(turns)
            for name in set(names):
                own = [turn for turn, other in enumerate(names) if other == name]
                party[own] = made.party.rnn(turns[own])[0]
            nodes.append(base + weights[f"{modality}_party"] * party)
        for both in naive_deep_graph(made.graph, torch.stack(nodes), alpha=0.2):
            expected.append(made.head[2].weight @ both.clamp(min=0) + made.head[2].bias)
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_in_a_monologue_the_party_is_the_whole_dialogue():
    made = make(NAME, modalities=("audio",), **parties(0, 1, 0))
    batch = batch_of(made, conversations([6], speakers=1))
    turns = made.inputs(batch)[0]
    expected = turns + made.party.rnn(turns)[0]
    torch.testing.assert_close(encoded_nodes(made, batch)[0], expected)


def test_where_nobody_speaks_twice_a_node_hangs_on_its_own_turn():
    made = make(NAME, modalities=("audio", "visual"), **parties(0, 1, 1))
    batch = batch_of(made, conversations([6], missing=0.0))
    batch.speakers[0] = torch.arange(6)
    before = encoded_nodes(made, batch)
    batch.features["audio"][0, 2] += 1
    changed = (encoded_nodes(made, batch) - before).abs().amax(-1)[:, 0] > 1e-4
    assert changed.tolist() == [[False, False, True, False, False, False], [False] * 6]
    batch.speakers[0] = 0
    together = encoded_nodes(made, batch)
    batch.features["audio"][0, 2] += 1
    assert ((encoded_nodes(made, batch) - together).abs().amax(-1)[0, 0] > 1e-4).all()


def test_without_parties_who_speaks_changes_nothing():
    lengths = (6, 5)
    heard, unheard = (
        make(NAME, **parties(*weights)) for weights in ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    )
    for made, matters in ((heard, True), (unheard, False)):
        batch = batch_of(made, conversations(lengths, speakers=3))
        before = logits(made, batch)
        batch.speakers.zero_()
        assert ((logits(made, batch) - before).abs().max() > 1e-4) == matters


def test_without_parties_and_memory_it_is_mmgcn_without_speakers():
    sizes = {"modalities": ("audio", "visual"), "layers": 3}
    made, plain = make(NAME, **sizes, **parties(0, 0, 0)), make("mmgcn", **sizes)
    made.load_state_dict(plain.state_dict(), strict=False)
    made.graph.cell = None
    for layer in made.graph.layers:
        layer.alpha = 0.1
    batch = batch_of(made, conversations((6, 1, 4)))
    assert torch.equal(logits(made, batch), logits(plain, batch))


@pytest.mark.parametrize(("layers", "reference"), [(16, 2_079_366), (32, 2_603_654)])
def test_it_has_as_many_parameters_as_the_reference(layers, reference):
    """2.08 M and 2.60 M beside the inputs, of 256 features and for 6 classes.

    The reference puts three linear maps after its inputs; the code has them in the inputs' place.
    """
    assert size_of(NAME, width=256, hidden=128, layers=layers) + 3 * (256 * 256 + 256) == reference
