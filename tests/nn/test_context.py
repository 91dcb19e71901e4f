"""DialogueRNN and the GRU context against turn-by-turn loops, and what each may depend on."""

import pytest
import torch
from torch import nn

from pipeline.nn.context import make_context
from pipeline.nn.dialogue_rnn import DialogueRNN, one_hot_speakers
from tests.nn.naive import gru_cell, naive_dialogue_rnn

LENGTHS = (6, 1, 4)
WIDTH = 6


def dialogues():
    """Two modalities; padding holds NaN and arbitrary speakers."""
    utterances = torch.randn(2, len(LENGTHS), max(LENGTHS), WIDTH, dtype=torch.float64)
    turn_mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    utterances[:, ~turn_mask] = torch.nan
    speakers = torch.tensor([[0, 1, 0, 2, 2, 1], [0, 9, -7, 9, 9, 9], [0, 0, 1, 0, 999, 5]])
    return utterances, turn_mask, speakers


VARIANTS = [
    {"attention": attention, "listeners": listeners}
    for attention in ("simple", "general")
    for listeners in (False, True)
]
variants = pytest.mark.parametrize("options", VARIANTS, ids=str)


def dialogue_rnn(**options) -> DialogueRNN:
    return DialogueRNN(2, WIDTH, 5, 4, **options).double()


@variants
def test_dialogue_rnn_equals_the_paper(options):
    utterances, turn_mask, speakers = dialogues()
    model = dialogue_rnn(**options)
    result = model(utterances, turn_mask, speakers)
    for modality in range(2):
        for row, length in enumerate(LENGTHS):
            turns = utterances[modality, row, :length]
            names = speakers[row, :length].tolist()
            forward = naive_dialogue_rnn(model, 2 * modality, turns, names)
            backward = naive_dialogue_rnn(model, 2 * modality + 1, turns.flip(0), names[::-1])
            expected = torch.cat((torch.stack(forward), torch.stack(backward[::-1])), dim=1)
            torch.testing.assert_close(result[modality, row, :length], expected)


def test_listeners_change_nothing_in_a_monologue():
    utterances, turn_mask, speakers = dialogues()
    silent, listening = dialogue_rnn(), dialogue_rnn(listeners=True)
    listening.load_state_dict(silent.state_dict(), strict=False)
    alone, talk = torch.zeros_like(speakers), (utterances, turn_mask)
    torch.testing.assert_close(silent(*talk, alone), listening(*talk, alone))
    difference = (silent(*talk, speakers) - listening(*talk, speakers)).abs()
    # Two people alternate in the first dialogue; in the second is one turn.
    assert difference[:, 0].max() > 1e-3
    assert difference[:, 1].max() < 1e-9


def test_parties_of_other_dialogues_listen_to_no_avail():
    utterances, turn_mask, speakers = dialogues()
    model = dialogue_rnn(listeners=True)
    expected = model(utterances[:, 2:], turn_mask[2:], speakers[2:])
    crowd = torch.arange(6).repeat(3, 1).where(torch.tensor([[True], [True], [False]]), speakers)
    result = model(utterances, turn_mask, crowd)
    torch.testing.assert_close(result[:, 2:], expected)


@variants
def test_dropout_of_states(options):
    utterances, turn_mask, speakers = dialogues()
    model = dialogue_rnn(dropout=0.5, **options)
    exact = dialogue_rnn(**options)
    exact.load_state_dict(model.state_dict())
    trained = [model(utterances, turn_mask, speakers) for _ in range(2)]
    assert not torch.equal(*trained)
    # An emotion state that is dropped is 0; an exact one never is.
    share = (trained[0][:, turn_mask] == 0).double().mean()
    assert 0.3 < share < 0.7
    expected = exact(utterances, turn_mask, speakers)
    assert torch.equal(model.eval()(utterances, turn_mask, speakers), expected)


def test_gru_equals_pytorchs():
    utterances, turn_mask, speakers = dialogues()
    model = make_context("gru", 2, WIDTH).double()
    result = model(utterances, turn_mask, speakers)
    for modality in range(2):
        reference = nn.GRU(WIDTH, WIDTH // 2, bidirectional=True).double()
        for suffix, chain in (("l0", 2 * modality), ("l0_reverse", 2 * modality + 1)):
            cell = gru_cell(model.gru, chain)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(reference, f"{name}_{suffix}").data.copy_(getattr(cell, name).data)
        for row, length in enumerate(LENGTHS):
            expected, _ = reference(utterances[modality, row, :length])
            torch.testing.assert_close(result[modality, row, :length], expected)


def test_padding_is_no_speaker():
    # As many columns as speakers: one for an index that only padding holds costs time and memory.
    speakers, turn_mask = torch.tensor([[0, 1, 999]]), torch.tensor([[True, True, False]])
    assert one_hot_speakers(speakers, turn_mask).int().tolist() == [[[1, 0], [0, 1], [0, 0]]]


@pytest.mark.parametrize("kind", ["dialogue_rnn", "gru"])
def test_padding_becomes_zeros(kind):
    utterances, turn_mask, speakers = dialogues()
    result = make_context(kind, 2, WIDTH).double()(utterances, turn_mask, speakers)
    assert torch.equal(result[:, ~turn_mask], torch.zeros(2, 7, WIDTH, dtype=torch.float64))


MODELS = {
    "dialogue_rnn": lambda: make_context("dialogue_rnn", 2, WIDTH),
    "general": lambda: DialogueRNN(2, WIDTH, 5, 4, attention="general", listeners=True),
    "gru": lambda: make_context("gru", 2, WIDTH),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_gradient(make):
    model, (utterances, turn_mask, speakers) = make().double(), dialogues()
    utterances = utterances.nan_to_num().requires_grad_()
    leaves = (utterances, *model.parameters())
    assert torch.autograd.gradcheck(
        lambda *_: model(utterances, turn_mask, speakers),
        leaves,
        rtol=1e-6,
        atol=1e-9,
        fast_mode=True,
    )


def test_each_modality_has_its_own_context():
    utterances, turn_mask, speakers = dialogues()
    model = make_context("dialogue_rnn", 2, WIDTH).double()
    before = model(utterances, turn_mask, speakers)
    changed = utterances.clone()
    changed[1] += 1
    after = model(changed, turn_mask, speakers)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("attention", ["simple", "general"])
def test_a_long_dialogue_stays_finite(attention):
    model = DialogueRNN(1, 4, 2, 2, attention=attention)
    model.attention.data.mul_(1000)  # extreme scores: the softmax must not overflow
    utterances = torch.randn(1, 1, 120, 4, requires_grad=True)
    mask = torch.ones(1, 120, dtype=torch.bool)
    model(utterances, mask, torch.arange(120)[None] % 9).sum().backward()
    assert utterances.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_refusals():
    assert make_context("none", 1, 5) is None
    with pytest.raises(ValueError, match="Bad context 'lstm'"):
        make_context("lstm", 1, 4)
    with pytest.raises(ValueError, match="Bad width 5"):
        make_context("gru", 1, 5)
    with pytest.raises(ValueError, match="Bad attention 'dot'"):
        DialogueRNN(1, 4, 2, 2, attention="dot")
