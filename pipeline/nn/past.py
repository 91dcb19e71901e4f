"""Windows of the turns before each turn, and recurrences over those of their places that count."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.packed import PackedRNN


class PastWindows:
    """The turns before each real turn; rows are real turns in the order of `Packing`.

    Args:
        turn_mask: True where a turn is real, [batch, turn].
        past: How many earlier turns a window holds at most; -1 for all.

    Attributes:
        mask: True where a place holds a turn, [row, place]; the latest turn is in the last place.
        source: Which row a place holds, [row, place]; any where the mask is False.
    """

    def __init__(self, turn_mask: Tensor, past: int) -> None:
        turn = turn_mask.nonzero()[:, 1]
        longest = int(turn.max())
        reach = longest if past < 0 else min(past, longest)
        row = torch.arange(len(turn), device=turn.device)
        # One empty place at least: no recurrence runs over none.
        lag = torch.arange(max(reach, 1), 0, -1, device=turn.device)
        self.mask = lag <= turn.clamp(max=reach).unsqueeze(1)
        self.source = (row.unsqueeze(1) - lag).clamp(min=0)

    def gather(self, rows: Tensor, some: slice = slice(None)) -> Tensor:
        """Map [row, feature] to the windows of some rows, [row, place, feature], zeros in gaps."""
        windows = functional.embedding(self.source[some], rows)
        return windows.masked_fill(~self.mask[some].unsqueeze(-1), 0)


def pass_over(rnn: PackedRNN, sequence: Tensor, mask: Tensor) -> Tensor:
    """Run a recurrence that keeps its state, and gives zeros, in places that a mask leaves out.

    Args:
        rnn: Of one direction.
        sequence: [row, place, width].
        mask: True in any places, [row, place].

    Returns:
        The states, [row, place, hidden].
    """
    order = mask.int().argsort(dim=1, descending=True, stable=True)  # what counts comes first
    states = rnn(_ordered(sequence, order), mask.gather(1, order))
    return _ordered(states, order.argsort(dim=1))


def _ordered(sequence: Tensor, order: Tensor) -> Tensor:
    return sequence.gather(1, order.unsqueeze(-1).expand(*order.shape, sequence.shape[-1]))
