"""Dense graphs over the turns of a dialogue: who is joined to whom, and how.

Graphs are boolean or weighted masks [batch, receiver, sender]: dialogues are short, so products of
dense matrices are faster than lists of edges. Vectors of padded turns must be finite.
"""

import math

import torch
from torch import Tensor, nn

RELATIONS = 4


def band(turn_mask: Tensor, past: int, future: int) -> Tensor:
    """Join each real turn to itself and to its neighbours within a window.

    Args:
        turn_mask: True where a turn is real, [batch, turn].
        past: How many earlier turns send to a turn; -1 for all.
        future: How many later ones; -1 for all.

    Returns:
        Boolean, [batch, receiver, sender].
    """
    lag = _lag(turn_mask)
    near = torch.ones_like(lag, dtype=torch.bool)
    if past >= 0:
        near = near & (lag <= past)
    if future >= 0:
        near = near & (-lag <= future)
    return near & turn_mask.unsqueeze(2) & turn_mask.unsqueeze(1)


def relations(speakers: Tensor) -> Tensor:
    """Relation of each pair of turns, whatever the speakers are called.

    0: the same speaker, and the sender is earlier or is the receiver; 1: the same speaker, later;
    2: another speaker, earlier; 3: another, later.

    Args:
        speakers: [batch, turn].

    Returns:
        [batch, receiver, sender], below `RELATIONS`.
    """
    other = speakers.unsqueeze(2) != speakers.unsqueeze(1)
    return 2 * other + (_lag(speakers) < 0)


def pair_relations(speakers: Tensor, most: int) -> Tensor:
    """Relation of each pair of turns by the speakers' numbers and by which turn is earlier.

    Args:
        speakers: By first appearance, [batch, turn].
        most: How many speakers are told apart; further ones count as the last.

    Returns:
        `2 * (receiver's speaker * most + sender's speaker) + later`, below 2 * most ** 2,
        [batch, receiver, sender].
    """
    speakers = speakers.clamp(0, most - 1)
    pair = speakers.unsqueeze(2) * most + speakers.unsqueeze(1)
    return 2 * pair + (_lag(speakers) < 0)


class RelationalGCN(nn.Module):
    """Relational graph convolution (Schlichtkrull et al., ESWC 2018), dense.

    `out_i = W_root x_i + b + sum_r sum_j A[i, j] [relation(i, j) = r] W_r x_j`; with `mean`, each
    relation's sum is divided by the number of its edges.
    """

    def __init__(self, width: int, outputs: int, relations: int, *, mean: bool = False) -> None:
        super().__init__()
        self.root = nn.Linear(width, outputs)
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(relations, width, outputs).uniform_(-bound, bound))
        self.mean = mean

    def forward(self, nodes: Tensor, edges: Tensor, relation: Tensor) -> Tensor:
        """Pass messages once.

        Args:
            nodes: x, [batch, turn, width].
            edges: A, boolean or weights, [batch, receiver, sender].
            relation: [batch, receiver, sender]; read where there is an edge.

        Returns:
            [batch, turn, outputs].
        """
        weights = edges.to(nodes)
        result: Tensor = self.root(nodes)
        for number, weight in enumerate(self.weight):
            chosen = weights * (relation == number)
            if self.mean:
                chosen = chosen / (chosen != 0).sum(dim=-1, keepdim=True).clamp(min=1)
            result = result + chosen @ (nodes @ weight)
        return result


def _lag(turns: Tensor) -> Tensor:
    """How many turns the sender is before the receiver, [receiver, sender]."""
    turn = torch.arange(turns.shape[1], device=turns.device)
    return turn.unsqueeze(1) - turn


def predecessors(speakers: Tensor, turn_mask: Tensor, omega: int) -> Tensor:
    """Join each real turn to those before it, back to an earlier turn of its speaker.

    The senders of a turn are a run that ends right before it (DAG-ERC, Shen et al., ACL 2021).

    Args:
        speakers: [batch, turn].
        turn_mask: True where a turn is real, [batch, turn].
        omega: Which of the speaker's earlier turns is the last to send, counted backwards from 1;
            all earlier turns of the dialogue send if there are fewer.

    Returns:
        Boolean, [batch, receiver, sender].
    """
    past = band(turn_mask, -1, 0) & (_lag(turn_mask) > 0)
    own = (past & (speakers.unsqueeze(2) == speakers.unsqueeze(1))).long()
    later = own.flip(2).cumsum(2).flip(2) - own  # turns of the receiver's speaker after the sender
    return past & (later < omega)
