"""ICON by hand, against a loop over turns, and in the size that the reference gives."""

import math

import pytest
import torch

from tests.systems.zoo import (
    batch_of,
    conversation,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "icon"


def test_three_turns_of_two_speakers_by_hand():
    # One feature; gates are open by half: states are halves of the one before and of tanh(input).
    made = make(NAME, modalities=("text",), width=1, hidden=1, hops=1)
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.inputs.encoders["text"].project.weight[0, 0] = 1
        made.query.weight.fill_(1)
        for rnn in (made.own, made.other, made.first):
            rnn.rnn.weight_ih_l0[2] = 1
        made.head.weight[0] = 1
    batch = batch_of(made, conversations([3], missing=0.0))
    batch.features["text"][0, :, 0] = torch.tensor([1.0, 2.0, 0.5])
    batch.speakers.copy_(torch.tensor([[0, 1, 0]]))

    def half(value):
        return math.tanh(value) / 2

    def query(value, read):
        return math.tanh(math.tanh(value) + read)

    # The third turn's speaker said the first, another the second.
    one = half(math.tanh(half(1.0)))
    two = one / 2 + half(math.tanh(half(2.0)))
    raised = [math.exp(math.tanh(math.tanh(0.5) * memory)) for memory in (one, two)]
    third = query(0.5, (raised[0] * one + raised[1] * two) / sum(raised))
    assert (one, two) == pytest.approx((0.174102, 0.297118), abs=1e-6)
    expected = torch.zeros(3, 4)
    expected[:, 0] = torch.tensor([query(1.0, 0.0), query(2.0, one), third])
    torch.testing.assert_close(logits(made, batch), expected)


def naive_logits(made, turns, speakers):
    """Every turn of a dialogue, reading its window place by place."""
    result = []
    for t, turn in enumerate(turns):
        first = max(0, t - made.settings.past) if made.settings.past >= 0 else 0
        places = range(first, t)
        query = torch.tanh(made.query(turn))
        local = {}
        for rnn, own in ((made.own.rnn, True), (made.other.rnn, False)):
            chosen = [k for k in places if (speakers[k] == speakers[t]) == own]
            if chosen:
                states = rnn(torch.stack([turns[k] for k in chosen]))[0]
                local.update(zip(chosen, states, strict=True))
        memories = [torch.tanh(local[k]) for k in places]  # the other GRU is 0 there
        for hop in range(made.settings.hops):
            if memories:
                rnn = made.later.rnn if hop else made.first.rnn
                memories = list(rnn(torch.stack(memories))[0])
            raised = [torch.tanh(query @ memory).exp() for memory in memories]
            parts = [r / sum(raised) * m for r, m in zip(raised, memories, strict=True)]
            query = torch.tanh(query + sum(parts))
        result.append(made.head(query))
    return result


@pytest.mark.parametrize("past", [0, 2, 40, -1])
def test_it_equals_a_loop_over_turns(past):
    lengths = (8, 1, 5)
    made = make(NAME, past=past).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded, expected = made.inputs.joined(batch), []
    for row, length in enumerate(lengths):
        names = batch.speakers[row, :length].tolist()
        expected += naive_logits(made, list(encoded[row, :length]), names)
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_the_first_turn_reads_an_empty_memory():
    made = make(NAME)
    batch = batch_of(made, conversations((1, 4)))
    query = made.query(made.inputs.joined(batch)[:, 0])
    for _ in range(4):  # of the query itself, and of three hops
        query = torch.tanh(query)
    torch.testing.assert_close(made(batch).logits[:, 0], made.head(query))


def test_only_who_is_the_speaker_matters_and_not_which_other_spoke():
    made = make(NAME)
    batch = batch_of(made, [conversation(1, 5, missing=0.0)])
    results = []
    for speakers in ([0, 1, 2, 1, 3], [0, 1, 2, 3, 4], [0, 0, 0, 0, 0]):
        batch.speakers.copy_(torch.tensor([speakers]))
        results.append(logits(made, batch)[-1])
    torch.testing.assert_close(results[0], results[1])
    assert (results[0] - results[2]).abs().max() > 1e-4


def test_it_has_as_many_parameters_as_the_reference():
    """2.56 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, hidden=256) == 2_563_846
