"""Chained GRUs equal PyTorch's own, one by one; directions mirror a dialogue's real turns only."""

import torch
from torch import Tensor, nn

from pipeline.model.recurrence import ChainedGRU, Directions
from tests.model.dialogues import randomise


def pytorch_gru(gru: ChainedGRU, chain: int) -> nn.GRU:
    inputs, hidden = gru.weight_input.shape[1], gru.weight_hidden.shape[1]
    single = nn.GRU(inputs, hidden).double()
    with torch.no_grad():
        single.weight_ih_l0.copy_(gru.weight_input[chain].T)
        single.weight_hh_l0.copy_(gru.weight_hidden[chain].T)
        single.bias_ih_l0.copy_(gru.bias_input[chain, 0])
        single.bias_hh_l0.copy_(gru.bias_hidden[chain, 0])
    return single


def test_every_chain_is_a_gru_of_pytorch():
    gru = randomise(ChainedGRU(3, 5, 4).double())
    sequence = torch.randn(3, 6, 2, 5, dtype=torch.float64)
    found = gru(sequence)
    for chain in range(3):
        expected, _ = pytorch_gru(gru, chain)(sequence[chain])
        torch.testing.assert_close(found[chain], expected)


def test_directions_by_hand():
    mask = torch.tensor([[True, True, True], [True, True, False]])
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]).view(1, 2, 3, 1)
    forward, backward = Directions(mask).split(values)
    assert forward[..., 0].T.tolist() == [[1, 2, 3], [4, 5, 9]]
    assert backward[..., 0].T.tolist() == [[3, 2, 1], [5, 4, 9]]  # padding stays last


def test_join_undoes_split_and_zeroes_padding():
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]])
    values = torch.randn(2, 3, 4, 5)
    directions = Directions(mask)
    real = values.masked_fill(~mask[None, :, :, None], 0)
    assert torch.equal(directions.join(directions.split(values)), torch.cat((real, real), dim=-1))


def test_a_running_sum_in_both_directions():
    # Of the dialogue 1, 2, 4 (then padding, 8) the sums so far are 1, 3, 7 forwards; backwards
    # 4, 6, 7 from the end, so 7, 6, 4 at the turns themselves.
    mask = torch.tensor([[True, True, True, False]])
    directions = Directions(mask)
    split: Tensor = directions.split(torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 1, 4, 1))
    joined = directions.join(split.cumsum(dim=1))
    assert joined[0, 0].tolist() == [[1, 7], [3, 6], [7, 4], [0, 0]]
