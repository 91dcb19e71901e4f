"""DialogueRNN with and without listeners: by hand, against a loop, and in the reference's size."""

import math

import pytest
import torch

from tests.nn.naive import naive_dialogue_rnn
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAMES = ("dialogue_rnn", "dialogue_rnn_listeners")


def test_context_by_hand():
    # One feature and one state; gates are open by half, so that a state is half of the old one and
    # half of tanh of what it reads: g reads u, q reads the context c, e reads q.
    sizes = {"width": 1, "states": 1, "emotions": 1}
    made = make("dialogue_rnn", modalities=("text",), context_attention="general", **sizes)
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    states = made.network.states
    forwards_g, forwards_q, new = 0, 2, 2
    with torch.no_grad():
        states.cells.weight_input[forwards_g, 0, new] = 1
        states.recurrent[forwards_q, 0, new] = 1
        states.emotion.weight_input[0, 0, new] = 1
        states.attention.fill_(1)
    turns = torch.tensor([2.0, -1.0, 0.5])
    emotions = states(turns.view(1, 1, 3, 1), torch.ones(1, 3, dtype=torch.bool), turns.view(1, 3))
    first = 0.5 * math.tanh(2.0)
    second = 0.5 * first + 0.5 * math.tanh(-1.0)
    weights = math.exp(0.5 * first), math.exp(0.5 * second)  # of the third turn, u = 0.5
    context = (weights[0] * first + weights[1] * second) / sum(weights)
    # The second turn's context is the only global state before it. Every turn has another speaker.
    emotion = 0.5 * math.tanh(0.5 * math.tanh(first))
    last = 0.5 * emotion + 0.5 * math.tanh(0.5 * math.tanh(context))
    expected = torch.tensor([0.0, emotion, last])
    torch.testing.assert_close(emotions[0, 0, :, 0], expected)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("context_attention", ["general", "simple"])
@pytest.mark.parametrize("name", NAMES)
def test_it_equals_a_loop_over_turns(name, context_attention, attention):
    lengths = (6, 1, 4)
    made = make(name, context_attention=context_attention, attention=attention).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    network, encoded = made.network, made.inputs.joined(batch)
    expected = []
    for row, length in enumerate(lengths):
        turns, names = encoded[row, :length], batch.speakers[row, :length].tolist()
        forwards = naive_dialogue_rnn(network.states, 0, turns, names)
        backwards = naive_dialogue_rnn(network.states, 1, turns.flip(0), names[::-1])[::-1]
        emotions = [torch.cat(both) for both in zip(forwards, backwards, strict=True)]
        for mixed in emotions:
            if attention:
                query = network.attention.query.weight @ mixed + network.attention.query.bias
                weights = [(query @ other).exp() for other in emotions]
                mixed = sum(w * m for w, m in zip(weights, emotions, strict=True)) / sum(weights)
            first, last = network.head[0], network.head[3]
            hidden = (first.weight @ mixed + first.bias).clamp(min=0)
            expected.append(last.weight @ hidden + last.bias)
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


@pytest.mark.parametrize("name", NAMES)
def test_who_speaks_matters(name):
    made = make(name)
    batch = batch_of(made, conversations((6, 5)))
    before = logits(made, batch)
    batch.speakers.zero_()
    assert (logits(made, batch) - before).abs().max() > 1e-4


def test_only_listeners_hear_who_does_not_speak():
    silent, listening = (make(name) for name in NAMES)
    listening.load_state_dict(silent.state_dict(), strict=False)
    monologue, dialogue = (
        batch_of(silent, conversations([7], speakers=speakers)) for speakers in (1, 3)
    )
    torch.testing.assert_close(logits(silent, monologue), logits(listening, monologue))
    assert (logits(silent, dialogue) - logits(listening, dialogue)).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("name", "expected"), list(zip(NAMES, (4_761_094, 6_730_246), strict=True))
)
def test_it_has_as_many_parameters_as_the_reference(name, expected):
    """4.76 M and 6.73 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(name, width=256, states=256, emotions=128, attention=True) == expected
