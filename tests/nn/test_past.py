"""Windows of the past, and recurrences over places that are scattered over a row."""

import pytest
import torch

from pipeline.nn.packed import PackedRNN
from pipeline.nn.past import PastWindows, pass_over

TURN_MASK = torch.arange(4) < torch.tensor([[4], [1], [3]])
ROWS = torch.arange(1.0, 9.0).unsqueeze(1)  # turns 1 to 4, 5, 6 to 8


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        (2, [[0, 0], [0, 1], [1, 2], [2, 3], [0, 0], [0, 0], [0, 6], [6, 7]]),
        (1, [[0], [1], [2], [3], [0], [0], [6], [7]]),
        (0, [[0]] * 8),
    ],
)
def test_a_window_holds_the_latest_turns_of_its_dialogue(past, expected):
    windows = PastWindows(TURN_MASK, past)
    assert windows.gather(ROWS).squeeze(2).tolist() == expected
    assert windows.mask.tolist() == (torch.tensor(expected) > 0).tolist()
    assert windows.gather(ROWS, slice(2, 5)).squeeze(2).tolist() == expected[2:5]


def test_all_turns_of_the_past_fit_into_a_window():
    everything, most = (PastWindows(TURN_MASK, past) for past in (-1, 100))
    assert everything.gather(ROWS).squeeze(2).tolist()[3] == [1, 2, 3]
    assert torch.equal(everything.gather(ROWS), most.gather(ROWS))


def test_a_batch_of_single_turns_has_one_empty_place():
    windows = PastWindows(torch.ones(2, 1, dtype=torch.bool), -1)
    assert windows.mask.tolist() == [[False], [False]]


def test_a_recurrence_passes_over_places():
    rnn = PackedRNN("gru", 3, 2, bidirectional=False).double()
    sequence = torch.randn(3, 5, 3, dtype=torch.float64)
    places = [[0, 2, 4], [], [3]]
    mask = torch.tensor([[place in row for place in range(5)] for row in places])
    states = pass_over(rnn, sequence, mask)
    for row, chosen in enumerate(places):
        if chosen:
            alone = rnn.rnn(sequence[row, chosen])[0]
            torch.testing.assert_close(states[row, chosen], alone)
    assert (states[~mask] == 0).all()
    assert (states[mask] != 0).all()
    moved = sequence.masked_fill(~mask.unsqueeze(2), torch.nan)
    assert torch.equal(pass_over(rnn, moved, mask), states)
