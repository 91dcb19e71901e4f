"""COGMEN by hand, against loops over turns and edges, and in the size that the reference gives."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.nn.graph import pair_relations, relations
from tests.nn.naive import naive_head
from tests.nn.naive_transformer import naive_norm, naive_transformer
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "cogmen"
MODALITIES = ("text", "audio", "visual")


def test_what_follows_the_graph_by_hand():
    # Nodes (3, 1) are normalised to (1, -1), up to the 1e-5 that LayerNorm adds to a variance of 1;
    # the leaky ReLU leaves 0.01 of -1, which the head turns round before its ReLU.
    made = make(NAME, hidden=2)
    for part in (made.relational, made.convolution, made.head):
        for parameter in part.parameters():
            torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.convolution.skip.bias.copy_(torch.tensor([3.0, 1.0]))
        made.head[0].weight[0, 0] = 1
        made.head[0].weight[1, 1] = -1
        made.head[3].weight[0, 0] = made.head[3].weight[1, 1] = 1
    one = 1 / math.sqrt(1 + 1e-5)
    expected = torch.tensor([[one, 0.01 * one, 0, 0]]).expand(3, 4)
    torch.testing.assert_close(logits(made, batch_of(made, conversations([3]))), expected)


def test_a_turn_hears_the_mean_of_each_relation_by_hand():
    # The second turn hears itself, and of the other speaker a turn before, the mean of two later.
    made = make(NAME, hidden=2)
    with torch.no_grad():
        for parameter in made.relational.parameters():
            parameter.zero_()
        made.relational.weight[0] = torch.eye(2)  # the same speaker, no later
        made.relational.weight[2] = 2 * torch.eye(2)  # another, earlier
        made.relational.weight[3] = 3 * torch.eye(2)  # another, later
    nodes = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [4.0, 0.0], [0.0, 8.0]]])
    relation = relations(torch.tensor([[0, 1, 0, 0]]))
    heard = made.relational(nodes, torch.ones(1, 4, 4), relation)
    # Itself; 2 * (1, 0); 3 * the mean of (4, 0) and (0, 8).
    torch.testing.assert_close(heard[0, 1], torch.tensor([0 + 2 + 6.0, 1 + 0 + 12.0]))


def naive_logits(made, turns, relation, past, future):
    """One dialogue from its encoded turns."""
    count = range(len(turns))
    turns = naive_transformer(made.transformer, [made.join(turn) for turn in turns])
    turns = [made.output(turn) for turn in turns]
    near = [[j for j in count if i - past <= j <= i + future] for i in count]
    heard = []
    for i in count:
        node = made.relational.root(turns[i])
        for number, weight in enumerate(made.relational.weight):
            messages = [turns[j] @ weight for j in near[i] if relation[i, j] == number]
            if messages:
                node = node + sum(messages) / len(messages)
        heard.append(node)
    hidden = made.settings.hidden
    parts = [made.convolution.query_key_value(node).split(hidden) for node in heard]
    results = []
    for i in count:
        keys, values = ([parts[j][part] for j in near[i]] for part in (1, 2))
        node = made.convolution.skip(heard[i]) + naive_head(parts[i][0], keys, values)
        node = naive_norm(made.norm, node)
        results.append(made.head(torch.maximum(node, 0.01 * node)))
    return results


@pytest.mark.parametrize(("kind", "joined"), [("four", None), ("pairs", 8)])
@pytest.mark.parametrize("modalities", [("text",), MODALITIES], ids=len)
def test_it_equals_loops_over_turns_and_edges(modalities, kind, joined):
    lengths, window = (6, 1, 4), {"past": 2, "future": 1}
    options = {"modalities": modalities, "relations": kind, "joined": joined, "speakers": 2}
    made = make(NAME, layers=2, **options, **window).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    relation = relations(batch.speakers) if kind == "four" else pair_relations(batch.speakers, 2)
    encoded = made.inputs.joined(batch)
    expected = [
        logit
        for row, length in enumerate(lengths)
        for logit in naive_logits(made, list(encoded[row, :length]), relation[row], **window)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_with_a_window_of_one_turn_the_graph_reads_it_alone():
    made = make(NAME, past=0, future=0)
    batch = batch_of(made, conversations((5, 3)))
    turns = made.transformer(made.inputs.joined(batch), src_key_padding_mask=~batch.turn_mask)
    nodes = made.output(turns)
    nodes = made.relational.root(nodes) + nodes @ made.relational.weight[0]
    hidden = made.settings.hidden
    value = made.convolution.query_key_value(nodes)[..., 2 * hidden :]
    nodes = made.norm(made.convolution.skip(nodes) + value)
    expected = made.head(torch.nn.functional.leaky_relu(nodes))
    torch.testing.assert_close(logits(made, batch), expected[batch.turn_mask])


@pytest.mark.parametrize(("window", "same"), [(0, True), (2, False), (-1, False)])
def test_order_enters_through_the_graph_alone(window, same):
    made = make(NAME, past=window, future=window)
    batch, order = batch_of(made, conversations([7])), torch.tensor([3, 0, 6, 5, 1, 2, 4])
    turned = replace(
        batch,
        features={m: f[:, order] for m, f in batch.features.items()},
        frame_mask=batch.frame_mask[:, order],
        present={m: p[:, order] for m, p in batch.present.items()},
        speakers=batch.speakers[:, order],
    )
    difference = (logits(made, turned) - logits(made, batch)[order]).abs().max()
    assert difference < 1e-5 if same else difference > 1e-3


def test_a_turn_alone_has_no_window():
    near, far = make(NAME, past=0, future=0), make(NAME, past=-1, future=-1)
    far.load_state_dict(near.state_dict())
    alone, pair = (batch_of(near, conversations([turns])) for turns in (1, 2))
    torch.testing.assert_close(logits(near, alone), logits(far, alone))
    assert (logits(near, pair) - logits(far, pair)).abs().max() > 1e-4


def test_a_monologue_has_no_more_relations_by_pairs_than_by_four():
    four, pairs = make(NAME), make(NAME, relations="pairs", speakers=2)
    state = four.state_dict()
    own, further = state["relational.weight"][:2], pairs.relational.weight[2:]
    pairs.load_state_dict({**state, "relational.weight": torch.cat((own, further))})
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


def test_features_that_no_head_can_share_are_refused():
    with pytest.raises(ValueError, match=r"45 features of a turn .* not a multiple of heads 2"):
        make(NAME, width=15, modalities=MODALITIES)
    with pytest.raises(ValueError, match="7 features of a turn"):
        make(NAME, joined=7)
    make(NAME, width=15, joined=8)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"relations": "four"}, 11_883_782),
        ({"relations": "pairs", "speakers": 2}, 12_145_926),
    ],
    ids=str,
)
def test_it_has_as_many_parameters_as_the_reference(options, expected):
    """11.88 M and 12.15 M beside the inputs, of 256 features and for 6 classes."""
    assert in_size(**options) == expected


def test_joined_modalities_leave_a_transformer_of_that_width():
    def layer(width):
        """Attention, the two maps within, and the norms."""
        return 4 * (width + 1) * width + (2 * 2048 * width + 2048 + width) + 4 * width

    whole, joined = in_size(), in_size(joined=256)
    saved = 2 * (layer(768) - layer(256)) + (768 + 1) * 256 - (256 + 1) * 256 - (768 + 1) * 256
    assert whole - joined == saved


def in_size(**options):
    sizes = {"width": 256, "hidden": 256, "heads": 8, "layers": 2, "feedforward": 2048}
    return size_of(NAME, **sizes, **options)
