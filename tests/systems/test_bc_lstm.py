"""bc-LSTM by hand, against a loop over gates, and in the size that the reference gives."""

import math

import pytest
import torch

from pipeline.nn.entropy import Entropy
from tests.systems.zoo import (
    batch_of,
    conversations,
    in_float64,
    logits,
    make,
    size_of,
    with_garbage,
)

NAME = "bc_lstm"


def test_by_hand():
    # One feature, one state: gates are open by half, and the cell takes in half of tanh(u).
    made = make(NAME, modalities=("text",), width=1, hidden=1)
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        made.inputs.encoders["text"].project.weight[0, 0] = 1
        made.lstm.rnn.weight_ih_l0[2] = made.lstm.rnn.weight_ih_l0_reverse[2] = 1
        made.head[0].weight.fill_(1)
        made.head[3].weight[0] = 1
    batch = batch_of(made, conversations([2], missing=0.0))
    batch.features["text"][0, :, 0] = torch.tensor([math.atanh(0.8), math.atanh(0.4)])
    # Cells forwards 0.4, 0.2 + 0.2; backwards 0.2, 0.1 + 0.4. States: 0.5 tanh(cell).
    first = 0.5 * (math.tanh(0.4) + math.tanh(0.5))
    second = 0.5 * (math.tanh(0.4) + math.tanh(0.2))
    expected = torch.tensor([[first, 0, 0, 0], [second, 0, 0, 0]])
    torch.testing.assert_close(logits(made, batch), expected)
    assert first == pytest.approx(0.421033, abs=1e-6)
    assert second == pytest.approx(0.288662, abs=1e-6)


def naive_lstm(rnn, layer: int, suffix: str, turns):
    """One direction of one layer over one dialogue, by the equations of the gates."""
    weights = [getattr(rnn, f"{part}_l{layer}{suffix}") for part in ("weight_ih", "weight_hh")]
    biases = [getattr(rnn, f"{part}_l{layer}{suffix}") for part in ("bias_ih", "bias_hh")]
    state = cell = torch.zeros(rnn.hidden_size, dtype=torch.float64)
    states = []
    for turn in turns:
        values = weights[0] @ turn + weights[1] @ state + sum(biases)
        take, keep, new, give = values.chunk(4)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(take) * torch.tanh(new)
        state = torch.sigmoid(give) * torch.tanh(cell)
        states.append(state)
    return states


def naive_bilstm(rnn, turns):
    """Both directions of all layers over one dialogue."""
    for layer in range(rnn.num_layers):
        forwards = naive_lstm(rnn, layer, "", turns)
        backwards = naive_lstm(rnn, layer, "_reverse", turns[::-1])[::-1]
        turns = [torch.cat(both) for both in zip(forwards, backwards, strict=True)]
    return turns


def naive_activations(level, turns):
    """The first level of one modality over one dialogue."""
    dense = level.dense[1]
    return [torch.tanh(dense.weight @ s + dense.bias) for s in naive_bilstm(level.lstm.rnn, turns)]


def naive_logits(made, stacked):
    """One dialogue from its encoded turns, [modality, turn, width]."""
    modalities = [list(turns) for turns in stacked]
    if made.first:
        levels = made.first.values()
        modalities = [naive_activations(*pair) for pair in zip(levels, modalities, strict=True)]
    turns = [torch.cat(vectors) for vectors in zip(*modalities, strict=True)]
    turns = naive_bilstm(made.lstm.rnn, turns)
    if made.attention is not None:
        mixed = []
        for state in turns:
            query = made.attention.query.weight @ state + made.attention.query.bias
            weights = [torch.tanh(query @ other).exp() for other in turns]
            mixed.append(sum(w * m for w, m in zip(weights, turns, strict=True)) / sum(weights))
        turns = mixed
    first, last = made.head[0], made.head[3]
    hidden = [(first.weight @ turn + first.bias).clamp(min=0) for turn in turns]
    return [last.weight @ h + last.bias for h in hidden]


@pytest.mark.parametrize(
    "form", [{}, {"attention": True}, {"hierarchical": True}], ids=["plain", "attention", "levels"]
)
def test_it_equals_a_loop_over_turns(form):
    lengths = (6, 1, 4)
    made = make(NAME, layers=2, **form).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded = made.inputs(batch)
    expected = [
        logit
        for row, length in enumerate(lengths)
        for logit in naive_logits(made, encoded[:, row, :length])
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_each_first_level_has_a_loss_of_its_own():
    # Its scores are 0 but for a bias of ln 3 on class 2: p = (1, 1, 3, 1) / 6.
    made = make(NAME, hierarchical=True, modalities=("text", "audio"))
    with torch.no_grad():
        for level in made.first.values():
            level.scores[1].weight.zero_()
            level.scores[1].bias.copy_(torch.tensor([0, 0, math.log(3), 0]))
    batch = batch_of(made, conversations([3], labelled=1.0))
    batch.labels.copy_(torch.tensor([[2, 2, 0]]))
    terms = made.losses(made(batch), batch, Entropy())
    assert list(terms) == ["cross_entropy", "cross_entropy_text", "cross_entropy_audio"]
    expected = (2 * math.log(2) + math.log(6)) / 3
    assert terms["cross_entropy_text"].item() == pytest.approx(expected)
    assert terms["cross_entropy_audio"].item() == pytest.approx(expected)


def test_a_first_level_reads_its_own_modality_alone():
    made = make(NAME, hierarchical=True)
    batch = batch_of(made, conversations((5, 3), missing=0.0))
    before = made(batch)
    batch.features["audio"][0, 1] += 1
    after = made(batch)
    assert not torch.allclose(after.logits, before.logits)
    changed = [m for m in before.extra if not torch.equal(before.extra[m], after.extra[m])]
    assert changed == ["audio"]


def test_no_first_level_reads_padding_or_gaps():
    made = make(NAME, hierarchical=True)
    clean = batch_of(made, conversations((6, 1, 4)), turns=2)
    results = []
    for batch in (clean, with_garbage(clean, torch.nan, 17)):
        made.zero_grad()
        output = made(batch)
        sum(made.losses(output, batch, Entropy()).values()).backward()
        own = [scores[batch.turn_mask] for scores in output.extra.values()]
        gradients = [parameter.grad for parameter in made.parameters()]
        results.append([output.logits[batch.turn_mask], *own, *gradients])
    assert all(map(torch.equal, *results))
    assert all(gradient.any() for gradient in results[0])
    alone = [logits(made, batch_of(made, [d])) for d in conversations((6, 1, 4))]
    torch.testing.assert_close(torch.cat(alone), results[0][0])


def test_attention_changes_no_dialogue_of_a_single_turn():
    plain, attentive = make(NAME), make(NAME, attention=True)
    attentive.load_state_dict(plain.state_dict(), strict=False)
    alone, pair = (batch_of(plain, conversations([turns])) for turns in (1, 2))
    assert torch.equal(logits(plain, alone), logits(attentive, alone))
    assert not torch.allclose(logits(plain, pair), logits(attentive, pair))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"layers": 2}, 1_348_486),
        ({"layers": 2, "attention": True}, 1_414_278),
        ({"layers": 1, "hierarchical": True}, 1_880_472),
    ],
    ids=["plain", "attention", "levels"],
)
def test_it_has_as_many_parameters_as_the_reference(form, expected):
    """1.35 M, 1.41 M and 1.88 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, hidden=128, **form) == expected
