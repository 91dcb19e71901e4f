"""Packed recurrences against PyTorch's on each dialogue alone, and the turns of each speaker."""

import pytest
import torch
from torch import nn

from pipeline.nn.packed import BySpeaker, PackedRNN

LENGTHS = (5, 1, 3)
MASK = torch.arange(5) < torch.tensor(LENGTHS).unsqueeze(1)
# Padding holds any index.
SPEAKERS = torch.tensor([[0, 1, 0, 2, 1], [0, 7, -3, 7, 7], [0, 0, 0, 9, 9]])


def sequence(width: int = 4):
    """Turns with NaN in the padding."""
    turns = torch.randn(*MASK.shape, width, dtype=torch.float64)
    return turns.masked_fill(~MASK.unsqueeze(-1), torch.nan)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("kind", "reference"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_each_dialogue_as_if_it_were_alone(kind, reference, directions):
    options = {"dropout": 0.5, "bidirectional": directions == 2}
    packed, turns = PackedRNN(kind, 4, 3, layers=2, **options).double().eval(), sequence()
    alone = reference(4, 3, 2, batch_first=True, bidirectional=directions == 2).double()
    alone.load_state_dict(packed.rnn.state_dict())
    states = packed(turns, MASK)
    assert states.shape == (3, 5, 3 * directions)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(states[row, :length], alone(turns[row, :length])[0])
    assert (states[~MASK] == 0).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_reach_no_padding(bidirectional):
    turns = sequence().requires_grad_()
    packed = PackedRNN("lstm", 4, 3, bidirectional=bidirectional).double()
    packed(turns, MASK).sum().backward()
    assert (turns.grad[~MASK] == 0).all()
    assert (turns.grad[MASK] != 0).all()


def test_bfloat16_turns_are_read_in_float32():
    packed, turns = PackedRNN("gru", 4, 3), sequence().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = packed(turns.bfloat16(), MASK)
    assert torch.equal(states, packed(turns.bfloat16().float(), MASK))


def test_each_speaker_is_a_row():
    layout = BySpeaker(SPEAKERS, MASK)
    number = torch.arange(15.0).view(3, 5, 1).masked_fill(~MASK.unsqueeze(-1), torch.nan)
    rows = layout.gather(number).squeeze(-1)
    expected = [[0, 2, 0], [1, 4, 0], [3, 0, 0], [5, 0, 0], [10, 11, 12]]
    assert rows.tolist() == expected
    assert layout.mask.int().sum(1).tolist() == [2, 2, 1, 1, 3]
    restored = layout.scatter(rows.unsqueeze(-1))
    assert torch.equal(restored, number.nan_to_num())


def test_a_recurrence_over_each_speakers_own_turns():
    packed, turns, layout = PackedRNN("gru", 4, 3).double(), sequence(), BySpeaker(SPEAKERS, MASK)
    states = layout.scatter(packed(layout.gather(turns), layout.mask))
    for row, length in enumerate(LENGTHS):
        for speaker in set(SPEAKERS[row, :length].tolist()):
            own = (SPEAKERS[row, :length] == speaker).nonzero().squeeze(1)
            torch.testing.assert_close(states[row, own], packed.rnn(turns[row, own])[0])
    assert torch.equal(states[~MASK], torch.zeros(6, 6, dtype=torch.float64))


def test_renaming_speakers_changes_nothing():
    packed, turns = PackedRNN("gru", 4, 3).double(), sequence()
    results = []
    for speakers in (SPEAKERS, 5 - SPEAKERS):
        layout = BySpeaker(speakers, MASK)
        results.append(layout.scatter(packed(layout.gather(turns), layout.mask)))
    torch.testing.assert_close(*results)
