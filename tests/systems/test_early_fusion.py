"""Early fusion by hand, turn by turn, with and without context, and in the reference's size."""

import pytest
import torch
from pydantic import ValidationError

from tests.nn.naive import gru_cell, naive_dialogue_rnn
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    shrunk,
    size_of,
    with_garbage,
)

NAME = "early_fusion"
CONTEXTS = ("none", "gru", "dialogue_rnn")
every_context = pytest.mark.parametrize("context", CONTEXTS)


def test_by_hand():
    # Text 3 and audio -1: ReLU(3 - (-1)) = 4 and ReLU(-1 - 3) = 0; scores 2 * 4 + 1, and 0.
    made = make(NAME, modalities=("text", "audio"), width=2)
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.inputs.encoders["text"].project.weight[0, 0] = 1
        made.inputs.encoders["audio"].project.weight[0, 0] = 1
        made.head[0].weight.copy_(torch.tensor([[1.0, 0, -1, 0], [-1, 0, 1, 0]]))
        made.head[3].weight[0] = torch.tensor([2.0, 7])
        made.head[3].bias[0] = 1
    batch = batch_of(made, conversations([1], missing=0.0))
    batch.features["text"][0, 0, 0], batch.features["audio"][0, 0, 0] = 3, -1
    torch.testing.assert_close(logits(made, batch), torch.tensor([[9.0, 0, 0, 0]]))


def naive_context(kind, context, modality, turns, speakers):
    """What a context makes of one modality of one dialogue, [turn][width]."""
    if kind == "dialogue_rnn":
        both = [
            naive_dialogue_rnn(context, 2 * modality, turns, speakers),
            naive_dialogue_rnn(context, 2 * modality + 1, turns[::-1], speakers[::-1]),
        ]
    else:
        both = []
        for chain, sequence in ((2 * modality, turns), (2 * modality + 1, turns[::-1])):
            cell = gru_cell(context.gru, chain)
            state, states = torch.zeros(1, cell.hidden_size, dtype=torch.float64), []
            for turn in sequence:
                state = cell(turn[None], state)
                states.append(state[0])
            both.append(states)
    return [torch.cat(pair) for pair in zip(both[0], both[1][::-1], strict=True)]


@every_context
def test_it_equals_a_loop_over_turns(context):
    lengths = (6, 1, 4)
    made = make(NAME, context=context).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded, first, last = made.inputs(batch), made.head[0], made.head[3]
    expected = []
    for row, length in enumerate(lengths):
        modalities = [list(turns) for turns in encoded[:, row, :length]]
        if context != "none":
            names = batch.speakers[row, :length].tolist()
            heard = [
                naive_context(context, made.context, m, modalities[m], names) for m in (0, 1, 2)
            ]
            modalities = [
                [u + c for u, c in zip(*pair, strict=True)]
                for pair in zip(modalities, heard, strict=True)
            ]
        for turn in zip(*modalities, strict=True):
            hidden = (first.weight @ torch.cat(turn) + first.bias).clamp(min=0)
            expected.append(last.weight @ hidden + last.bias)
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


@every_context
def test_other_turns_matter_with_a_context_alone(context):
    made = make(NAME, context=context)
    batch = batch_of(made, conversations([5], missing=0.0))
    before = logits(made, batch)
    batch.features["text"][0, 2] += 1
    changed = (logits(made, batch) != before).any(1).tolist()
    assert changed == ([False, False, True, False, False] if context == "none" else [True] * 5)


@every_context
def test_who_speaks_matters_to_dialogue_rnn_alone(context):
    made = make(NAME, context=context)
    batch = batch_of(made, conversations((6, 5)))
    before = logits(made, batch)
    batch.speakers.zero_()
    assert torch.equal(logits(made, batch), before) == (context != "dialogue_rnn")


@every_context
def test_no_context_reads_padding_or_gaps(context):
    made = make(NAME, context=context)
    clean = batch_of(made, conversations((6, 1, 4)), turns=2)
    results = []
    for batch in (clean, with_garbage(clean, torch.nan, 17)):
        made.zero_grad()
        result = logits(made, batch)
        result.square().sum().backward()
        results.append([result, *(p.grad for p in made.parameters())])
    assert all(map(torch.equal, *results))
    alone = [logits(made, batch_of(made, [d])) for d in conversations((6, 1, 4))]
    torch.testing.assert_close(torch.cat(alone), results[0][0])


def test_a_context_needs_an_even_width():
    with pytest.raises(ValidationError, match="width 15 is odd"):
        shrunk(NAME, width=15, context="gru")
    assert shrunk(NAME, width=15, context="none").width == 15


def test_it_has_as_many_parameters_as_the_reference():
    """0.20 M beside the inputs, of 256 features: 198,663 for 7 classes, 257 less for 6."""
    assert size_of(NAME, width=256) == 198_663 - 257
