"""Contexts: DialogueRNN and GRU against naive loops in both directions, speakers, attention."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.model.context import (
    DialogueRNN,
    GRUContext,
    PastStates,
    make_context,
    one_hot_speakers,
)
from pipeline.model.recurrence import ChainedGRU
from tests.model.batches import array, randomise, sigmoid
from tests.model.test_recurrence import pytorch_gru

MODALITIES, WIDTH, HIDDEN = 3, 6, 3
LENGTHS = (7, 4, 1)
TURN_MASK = torch.arange(7) < torch.tensor(LENGTHS).unsqueeze(1)
SPEAKERS = torch.tensor([[0, 1, 0, 2, 1, 1, 0], [0, 1, 1, 0, 7, -3, 99], [0, 5, 5, 5, 5, 5, 5]])


@pytest.fixture
def utterances() -> Tensor:
    return torch.randn(
        MODALITIES, 3, 7, WIDTH, dtype=torch.float64, generator=torch.manual_seed(1)
    )


@pytest.fixture
def rnn() -> DialogueRNN:
    return randomise(DialogueRNN(MODALITIES, WIDTH).double())


def naive_cell(
    cells: ChainedGRU, chain: int, x: np.ndarray, h: np.ndarray, recurrent: np.ndarray | None = None
) -> np.ndarray:
    """One step of a GRU; `recurrent` are the weights of the last inputs."""
    weight = array(cells.weight_input[chain])
    if recurrent is not None:
        weight = np.concatenate((weight, recurrent))
    a = x @ weight + array(cells.bias_input[chain, 0])
    b = h @ array(cells.weight_hidden[chain]) + array(cells.bias_hidden[chain, 0])
    n = len(h)
    r = sigmoid(a[:n] + b[:n])
    z = sigmoid(a[n : 2 * n] + b[n : 2 * n])
    new = np.tanh(a[2 * n :] + r * b[2 * n :])
    return (1 - z) * new + z * h


def naive_direction(
    rnn: DialogueRNN, chain: int, u: np.ndarray, speakers: list[int], order: list[int]
) -> dict[int, np.ndarray]:
    """Emotion states of one dialogue, modality and direction, by turn."""
    chains = 2 * MODALITIES
    w = array(rnn.attention[chain, 0])
    g, e, past = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    party: dict[int, np.ndarray] = {}
    emotions = {}
    for t in order:
        q = party.get(speakers[t], np.zeros(HIDDEN))
        c = np.zeros(HIDDEN)
        if past:
            weights = np.exp([w @ state for state in past])
            c = sum(a * state for a, state in zip(weights / weights.sum(), past, strict=True))
        g = naive_cell(rnn.cells, chain, np.append(u[t], q), g, array(rnn.recurrent[chain]))
        q = naive_cell(
            rnn.cells, chains + chain, np.append(u[t], c), q, array(rnn.recurrent[chains + chain])
        )
        past.append(g)
        party[speakers[t]] = q
        e = naive_cell(rnn.emotion, chain, q, e)
        emotions[t] = e
    return emotions


def test_dialogue_rnn_equals_a_naive_loop(rnn: DialogueRNN, utterances: Tensor):
    found = array(rnn(utterances, TURN_MASK, SPEAKERS))
    for modality in range(MODALITIES):
        for dialogue, length in enumerate(LENGTHS):
            u, speakers = array(utterances[modality, dialogue]), SPEAKERS[dialogue].tolist()
            for direction in (0, 1):
                order = list(range(length))[:: -1 if direction else 1]
                expected = naive_direction(rnn, 2 * modality + direction, u, speakers, order)
                half = slice(direction * HIDDEN, (direction + 1) * HIDDEN)
                for turn, state in expected.items():
                    np.testing.assert_allclose(
                        found[modality, dialogue, turn, half], state, rtol=1e-9, atol=1e-12
                    )
            assert not found[modality, dialogue, length:].any()


def test_gru_equals_pytorch(utterances: Tensor):
    context = randomise(GRUContext(MODALITIES, WIDTH).double())
    found = context(utterances, TURN_MASK, SPEAKERS)
    for modality in range(MODALITIES):
        forward, backward = (pytorch_gru(context.gru, 2 * modality + d) for d in (0, 1))
        for dialogue, length in enumerate(LENGTHS):
            real = utterances[modality, dialogue, :length]
            expected = torch.cat((forward(real)[0], backward(real.flip(0))[0].flip(0)), dim=-1)
            torch.testing.assert_close(found[modality, dialogue, :length], expected)
        assert not found[modality][~TURN_MASK].any()


@pytest.mark.parametrize("kind", ["dialogue_rnn", "gru"])
def test_each_direction_sees_its_own_side_alone(kind: str, utterances: Tensor):
    context = make_context(kind, MODALITIES, WIDTH)
    assert context is not None
    randomise(context.double())
    changed = utterances.clone()
    changed[:, 0, 3] += 1.0
    before, after = (context(u, TURN_MASK, SPEAKERS) for u in (utterances, changed))
    moved = (before - after).abs().amax(dim=-1)  # [modality, batch, turn]
    assert (moved[:, 0] > 1e-6).all()
    assert not moved[:, 1:].any()
    forward, backward = ((before - after)[:, 0, :, h] for h in (slice(0, 3), slice(3, 6)))
    assert not forward[:, :3].any()
    assert not backward[:, 4:].any()


def test_modalities_do_not_mix(rnn: DialogueRNN, utterances: Tensor):
    changed = utterances.clone()
    changed[1] += 1.0
    moved = (
        (rnn(utterances, TURN_MASK, SPEAKERS) - rnn(changed, TURN_MASK, SPEAKERS))
        .abs()
        .amax(dim=(1, 2, 3))
    )
    assert moved[1] > 1e-3
    assert not moved[[0, 2]].any()


def test_who_speaks_matters_but_not_the_name(rnn: DialogueRNN, utterances: Tensor):
    renamed = torch.tensor([4, 2, 0])[SPEAKERS.clamp(0, 2)]
    other = SPEAKERS.clamp(0, 2).roll(1, dims=1)
    expected = rnn(utterances, TURN_MASK, SPEAKERS)
    torch.testing.assert_close(rnn(utterances, TURN_MASK, renamed), expected)
    assert (rnn(utterances, TURN_MASK, other) - expected).abs().max() > 1e-3


def test_the_running_attention_is_a_softmax_even_for_large_scores():
    attention = torch.randn(2, 1, 4, dtype=torch.float64) * 300
    states = torch.randn(9, 2, 5, 4, dtype=torch.float64)
    past = PastStates(attention, states[0])
    assert not past.summary.any()
    for count, state in enumerate(states, start=1):
        past.add(state)
        seen = states[:count]
        weights = (seen * attention).sum(-1, keepdim=True).softmax(dim=0)
        torch.testing.assert_close(past.summary, (weights * seen).sum(dim=0))


def test_gradients_are_those_of_finite_differences():
    rnn = randomise(DialogueRNN(1, 4).double())
    mask = torch.tensor([[True, True, True], [True, True, False]])
    speakers = torch.tensor([[0, 1, 0], [0, 0, 3]])
    utterances = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: rnn(u, mask, speakers), utterances)


def test_one_hot_counts_real_speakers_alone():
    mask = torch.tensor([[True, True, False]])
    found = one_hot_speakers(torch.tensor([[1, 0, 50]]), mask)
    assert found.tolist() == [[[False, True], [True, False], [False, False]]]


def test_make_context():
    assert isinstance(make_context("dialogue_rnn", 1, 4), DialogueRNN)
    assert isinstance(make_context("gru", 1, 4), GRUContext)
    assert make_context("none", 1, 5) is None
    with pytest.raises(ValueError, match="'lstm'"):
        make_context("lstm", 1, 4)
    with pytest.raises(ValueError, match="Bad width 5"):
        make_context("gru", 1, 5)
