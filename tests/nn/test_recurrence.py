"""Directions mirror a dialogue's real turns only.

The chained GRUs are compared with PyTorch's in test_context.py, in both directions and masked.
"""

import torch
from torch import Tensor

from pipeline.nn.recurrence import Directions


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
