"""MVN by hand, against a loop over turns and tokens, and in the size that the reference gives."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.nn import multi_view
from pipeline.nn.entropy import Entropy
from pipeline.nn.multi_view import UtteranceView
from pipeline.nn.past import PastWindows
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
)

NAME = "mvn"


def test_the_utterance_view_by_hand():
    # One feature; without weights the GRU's states are 0, and the gate takes half of each.
    view = UtteranceView(1, dropout=0.0)
    for parameter in view.parameters():
        torch.nn.init.zeros_(parameter)
    utterances = torch.tensor([[1.0], [-2.0], [0.5]])
    windows = PastWindows(torch.ones(1, 3, dtype=torch.bool), 2)
    # The third turn's scores are 0.5 and -1.
    share = math.exp(0.5) / (math.exp(0.5) + math.exp(-1.0))
    third = (0.5 + share * 1.0 + (1 - share) * -2.0) / 2
    assert third == pytest.approx(0.476362, abs=1e-6)
    expected = torch.tensor([[1.0], [-0.5], [third]])
    torch.testing.assert_close(view(utterances, windows), expected)


def block(made, queries, keys):
    """An attention block over lists of tokens, pair by pair."""
    query_map, key_map, value_map = made.maps.weight.chunk(3)
    result = []
    for query in queries:
        scores = [
            ((query_map @ query) @ (key_map @ key) / math.sqrt(len(query))).exp() for key in keys
        ]
        values = [
            score / sum(scores) * (value_map @ key) for score, key in zip(scores, keys, strict=True)
        ]
        hidden = made.norm(query + sum(values))
        result.append(made.norm(hidden + made.feed(hidden)))
    return result


def gate(made, first, second):
    share = torch.sigmoid(made.first.weight @ first + made.second.weight @ second)
    return share * first + (1 - share) * second


def most(tokens):
    return torch.stack(tokens).max(dim=0).values


def naive_logits(made, turns):
    """Every turn of a dialogue, from the tokens that each of them has."""
    words, result = made.words, []
    utterances = [most(tokens) for tokens in turns]
    for t, tokens in enumerate(turns):
        first = max(0, t - made.settings.past) if made.settings.past >= 0 else 0
        context = [token for turn in turns[first:t] for token in turn]
        word_view, utterance_view = most(block(words.within, tokens, tokens)), utterances[t]
        if context:

            def fused(own, cross):
                return most([gate(words.token_gate, a, b) for a, b in zip(own, cross, strict=True)])

            turn = fused(block(words.within, tokens, tokens), block(words.across, tokens, context))
            past = fused(
                block(words.within, context, context), block(words.across, context, tokens)
            )
            word_view = gate(words.view_gate, turn, past)
            bank = torch.stack(utterances[first:t])
            forwards = made.utterances.forwards.rnn(bank)[0]
            backwards = made.utterances.backwards.rnn(bank.flip(0))[0].flip(0)
            memory = bank + forwards + backwards
            weights = [(m @ utterances[t]).exp() for m in memory]
            mixed = sum(w / sum(weights) * m for w, m in zip(weights, memory, strict=True))
            utterance_view = gate(made.utterances.gate, utterances[t], mixed)
        experts = made.heads["words"](word_view), made.heads["utterances"](utterance_view)
        result.append(sum(logits.log_softmax(-1) for logits in experts))
    return result


@pytest.mark.parametrize("past", [0, 2, -1])
def test_it_equals_a_loop_over_turns_and_tokens(past):
    lengths = (6, 1, 4)
    made = make(NAME, past=past).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded = made.inputs(batch)
    expected = []
    for row, length in enumerate(lengths):
        turns = []
        for turn in range(length):
            tokens = {
                m: made.tokens[m](encoded[number, row, turn])
                for number, m in enumerate(made.inputs.modalities)
            }
            there = [tokens[m] for m in tokens if batch.available(m)[row, turn]]
            turns.append(there or list(tokens.values()))
        expected += naive_logits(made, turns)
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_without_a_window_each_turn_is_a_first_turn():
    made, (whole,) = make(NAME, past=0), conversations((5,))
    batch = batch_of(made, [whole])
    turns = replace(
        batch,
        features={m: v.transpose(0, 1) for m, v in batch.features.items()},
        frame_mask=batch.frame_mask.transpose(0, 1),
        present={m: there.T for m, there in batch.present.items()},
        turn_mask=batch.turn_mask.T,
        speakers=batch.speakers.T,
        labels=batch.labels.T,
    )
    torch.testing.assert_close(made(turns).logits[:, 0], made(batch).logits[0])
    made.settings = made.settings.model_copy(update={"past": 1})
    assert not torch.allclose(made(turns).logits[1:, 0], made(batch).logits[0, 1:])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_chunks_change_no_gradient(monkeypatch, dropout):
    """Nor do they draw other random numbers in the backward pass than in the forward pass."""
    made = make(NAME, dropout=dropout).double().train()
    batch = in_float64(batch_of(made, conversations((6, 1, 4))))

    def gradients():
        made.zero_grad()
        torch.manual_seed(3)
        sum(made.losses(made(batch), batch, Entropy()).values()).backward()
        return [p.grad.clone() for p in made.parameters()]

    expected = gradients()
    monkeypatch.setattr(multi_view, "CONTEXT_TOKENS", 45)  # 15 a window: 4 chunks
    chunked = gradients()
    # The same chunks, of which everything is kept for the backward pass.
    monkeypatch.setattr(
        multi_view, "checkpoint", lambda view, *inputs, use_reentrant: view(*inputs)
    )
    for got, kept in zip(chunked, gradients(), strict=True):
        torch.testing.assert_close(got, kept)
    if not dropout:
        for got, unchunked in zip(chunked, expected, strict=True):
            torch.testing.assert_close(got, unchunked)


def test_the_loss_is_that_of_each_view():
    made = make(NAME)
    batch = batch_of(made, conversations((6, 3)))
    output = made(batch)
    labelled = batch.labels >= 0
    chosen = output.logits[labelled].gather(1, batch.labels[labelled].unsqueeze(1))
    torch.testing.assert_close(sum(made.losses(output, batch, Entropy()).values()), -chosen.mean())


def test_it_has_as_many_parameters_as_the_reference():
    """2.10 M beside the inputs, of 256 features, for 6 classes and three tokens a turn."""
    assert size_of(NAME, width=256) == 2_104_844
