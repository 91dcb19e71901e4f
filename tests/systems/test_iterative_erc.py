"""IterativeERC by hand, against a loop over gates, and in the size that the reference gives."""

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
)

NAME = "iterative_erc"


def zeroed(**options):
    """One feature and one state, all weights 0, and a first prediction of (1, 1, 3, 1) / 6."""
    made = make(NAME, modalities=("text",), width=1, hidden=1, emotions=1, **options)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        made.first_scores.bias[2] = math.log(3)
    return made


def test_predictions_are_fed_back():
    made = zeroed(iterations=2)
    with torch.no_grad():
        made.embedding.weight[0, 2] = 1  # e = p_2
        for weight in (made.again.rnn.weight_ih_l0, made.again.rnn.weight_ih_l0_reverse):
            weight[2, 1] = 1  # the new state reads e; gates are open by half
        made.again_scores.weight[2] = 4
    batch = batch_of(made, conversations([2]))
    # p^0_2 = 1/2 at both turns. States: 0.5 tanh(e), then half of that more, in each direction.
    half = 0.5 * math.tanh(0.5)
    score = 4 * (half + 1.5 * half)
    assert score == pytest.approx(2.310586, abs=1e-6)
    chance = math.exp(score) / (3 + math.exp(score))
    assert chance == pytest.approx(0.770648, abs=1e-6)
    last = 4 * 2.5 * 0.5 * math.tanh(chance)
    iterations = made(batch).extra["iterations"]
    first, second, third = (scores[0, 0].tolist() for scores in iterations)
    assert first == pytest.approx([0, 0, math.log(3), 0])
    assert second == pytest.approx([0, 0, score, 0], abs=1e-5)
    assert third == pytest.approx([0, 0, last, 0], abs=1e-5)
    assert torch.equal(made(batch).logits, iterations[2])


def test_every_iteration_is_in_the_loss_and_only_those_that_make_it_worse_in_the_hinge():
    made = zeroed(iterations=2, improvement=0.5)
    batch = batch_of(made, conversations([3]))
    batch.labels.copy_(torch.tensor([[2, 0, -1]]))
    # p^0 = (1, 1, 3, 1) / 6, p^1 and p^2 = 1/4: class 2 falls by 1/4 once, class 0 rises.
    terms = made.losses(made(batch), batch, Entropy())
    values = {name: term.item() for name, term in terms.items()}
    assert values == pytest.approx(
        {
            "cross_entropy": math.log(4),
            "cross_entropy_0": (math.log(2) + math.log(6)) / 2,
            "cross_entropy_1": math.log(4),
            "improvement": 0.5 * (0.25 + 0) / 2,
        }
    )


def naive_gru(rnn, turns):
    """Both directions over one dialogue, by the equations of the gates."""
    directions = []
    for suffix, ordered in (("", turns), ("_reverse", turns[::-1])):
        w, u, b, c = (
            getattr(rnn, f"{part}_l0{suffix}")
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        state, states = torch.zeros(rnn.hidden_size, dtype=torch.float64), []
        for turn in ordered:
            outer, inner = (w @ turn + b).chunk(3), (u @ state + c).chunk(3)
            reset, update = (torch.sigmoid(outer[n] + inner[n]) for n in (0, 1))
            new = torch.tanh(outer[2] + reset * inner[2])
            state = (1 - update) * new + update * state
            states.append(state)
        directions.append(states)
    return [torch.cat(both) for both in zip(directions[0], directions[1][::-1], strict=True)]


def test_it_equals_a_loop_over_turns_and_iterations():
    lengths = (6, 1, 4)
    made = make(NAME, iterations=2).double()
    batch = in_float64(batch_of(made, conversations(lengths), turns=2))
    encoded, expected = made.inputs.joined(batch), []
    for row, length in enumerate(lengths):
        turns = list(encoded[row, :length])
        scores = [made.first_scores(state) for state in naive_gru(made.first.rnn, turns)]
        for _ in range(2):
            felt = [made.embedding.weight @ (s.exp() / s.exp().sum()) for s in scores]
            both = [torch.cat(pair) for pair in zip(turns, felt, strict=True)]
            scores = [made.again_scores(state) for state in naive_gru(made.again.rnn, both)]
        expected += scores
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_without_iterations_the_first_prediction_stays():
    once, thrice = make(NAME, iterations=0), make(NAME, iterations=3)
    thrice.load_state_dict(once.state_dict(), strict=False)
    batch = batch_of(once, conversations((5, 3)))
    assert torch.equal(once(batch).logits, thrice(batch).extra["iterations"][0])
    terms = make(NAME, iterations=0, improvement=1.0).losses(once(batch), batch, Entropy())
    assert list(terms) == ["cross_entropy"]


def test_without_an_embedding_all_iterations_are_the_same():
    made = make(NAME, iterations=3)
    batch = batch_of(made, conversations((5, 3)))
    _, *before = made(batch).extra["iterations"]
    assert (before[0] - before[2]).abs().max() > 1e-5
    torch.nn.init.zeros_(made.embedding.weight)
    _, *same = made(batch).extra["iterations"]
    assert torch.equal(same[0], same[1]) and torch.equal(same[1], same[2])


def test_gradients_pass_through_the_predictions():
    made = make(NAME, iterations=1)
    batch = batch_of(made, conversations((5, 3)))
    made(batch).logits[batch.turn_mask].square().sum().backward()
    assert made.first_scores.weight.grad.any()
    assert made.first.rnn.weight_hh_l0.grad.any()


def test_it_has_as_many_parameters_as_the_reference():
    """1.46 M beside the inputs, of 256 features and for 6 classes."""
    assert size_of(NAME, width=256, hidden=128, emotions=100) == 1_459_812
