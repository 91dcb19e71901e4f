"""GRUs that run side by side: each modality and direction is a chain of one loop over the turns.

Six small GRUs one after another spend their time launching small kernels. Here their weights are
stacked along a leading chain axis, so that a turn costs one batched product for all of them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ChainedGRU(nn.Module):
    """Independent GRUs with stacked weights, gates in PyTorch's order (reset, update, new)."""

    def __init__(self, chains: int, inputs: int, hidden: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden)  # as nn.GRU
        self.weight_input = uniform(bound, chains, inputs, 3 * hidden)
        self.weight_hidden = uniform(bound, chains, hidden, 3 * hidden)
        self.bias_input = uniform(bound, chains, 1, 3 * hidden)
        self.bias_hidden = uniform(bound, chains, 1, 3 * hidden)

    def project(self, sequence: Tensor) -> Tensor:
        """Compute the inputs' part of the gates for all turns at once.

        Args:
            sequence: [chain, turn, batch, feature].

        Returns:
            [chain, turn, batch, 3 * hidden].
        """
        flat = torch.baddbmm(self.bias_input, sequence.flatten(1, 2), self.weight_input)
        return flat.view(*sequence.shape[:3], -1)

    def step(self, gates: Tensor, state: Tensor) -> Tensor:
        """Advance every chain by one turn.

        Args:
            gates: The inputs' part of the gates, [chain, batch, 3 * hidden].
            state: The state before the turn, [chain, batch, hidden].

        Returns:
            The state after it, [chain, batch, hidden].
        """
        recurrent = torch.baddbmm(self.bias_hidden, state, self.weight_hidden)
        return gru_state(gates, recurrent, state)

    def forward(self, sequence: Tensor, dropout: float = 0.0) -> Tensor:
        """Map [chain, turn, batch, feature] to the states, [chain, turn, batch, hidden].

        Args:
            sequence: The inputs.
            dropout: Of every new state, before anything reads it.
        """
        chains, _, batch, _ = sequence.shape
        state = sequence.new_zeros(chains, batch, self.weight_hidden.shape[1])
        states = []
        for gates in self.project(sequence).unbind(dim=1):
            state = functional.dropout(self.step(gates, state), dropout, self.training)
            states.append(state)
        return torch.stack(states, dim=1)


class Directions:
    """Lay dialogues out forwards and backwards, and join the two again.

    Only the real turns of a dialogue are reversed, its padding stays at the end. Both directions
    thus meet the padding last, and no state that counts has seen it.

    Args:
        turn_mask: True where a turn is real, [batch, turn].
    """

    def __init__(self, turn_mask: Tensor) -> None:
        turn = torch.arange(turn_mask.shape[1], device=turn_mask.device)
        mirrored = turn_mask.sum(dim=1, keepdim=True) - 1 - turn
        self.turn_mask = turn_mask
        self.reversed = torch.where(mirrored >= 0, mirrored, turn)  # its own inverse

    def split(self, sequence: Tensor) -> Tensor:
        """Map [modality, batch, turn, feature] to [modality * direction, turn, batch, feature]."""
        both = torch.stack((sequence, self._reverse(sequence)), dim=1)
        return both.flatten(0, 1).transpose(1, 2)

    def join(self, states: Tensor) -> Tensor:
        """Map [modality * direction, turn, batch, hidden] to [modality, batch, turn, 2 * hidden].

        Padded turns become zeros.
        """
        states = states.transpose(1, 2)
        forward, backward = states[0::2], states[1::2]
        both = torch.cat((forward, self._reverse(backward)), dim=-1)
        return both.masked_fill(~self.turn_mask.unsqueeze(-1), 0)

    def _reverse(self, sequence: Tensor) -> Tensor:
        """Mirror each dialogue within its real turns, [modality, batch, turn, feature]."""
        return sequence.gather(2, self.reversed.unsqueeze(-1).expand_as(sequence))


def uniform(bound: float, *shape: int) -> nn.Parameter:
    """Make a parameter drawn uniformly from [-bound, bound)."""
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def gru_state(outer: Tensor, inner: Tensor, state: Tensor) -> Tensor:
    """Advance a GRU whose two products with its weights are known.

    Args:
        outer: Of the input, with its bias, [..., 3 * hidden] as reset, update, new.
        inner: Of the state, with its bias, [..., 3 * hidden].
        state: The state before, [..., hidden].

    Returns:
        The state after, [..., hidden].
    """
    # Chunks, not slices: the gradient of a slice fills the whole with zeros first.
    outers, inners = outer.chunk(3, dim=-1), inner.chunk(3, dim=-1)
    reset, update = (torch.sigmoid(outers[n] + inners[n]) for n in (0, 1))
    new = torch.tanh(outers[2] + reset * inners[2])
    return torch.lerp(new, state, update)
