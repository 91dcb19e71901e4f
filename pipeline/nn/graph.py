"""Dense graphs over the turns of a dialogue: who is joined to whom, and how.

Graphs are boolean or weighted masks [batch, receiver, sender]: dialogues are short, so products of
dense matrices are faster than lists of edges. Vectors of padded turns must be finite.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.base.settings import Section
from pipeline.nn.attention import masked_softmax

RELATIONS = 4


class WindowSettings(Section):
    """Which turns are joined."""

    past: int = Field(ge=-1, description="Earlier turns that send to a turn; -1: all.")
    future: int = Field(ge=-1, description="Later turns that send to a turn; -1: all.")


class RelationSettings(WindowSettings):
    """Which turns are joined, and what is told apart between them."""

    relations: Literal["four", "pairs"] = Field(
        description="four: same or other speaker, earlier or later; pairs: which speaker to which, "
        "by number, earlier or later."
    )
    speakers: int = Field(
        ge=1, le=9, description="pairs: how many are told apart; further ones count as the last."
    )

    @property
    def relation_count(self) -> int:
        """How many relations there are."""
        return RELATIONS if self.relations == "four" else 2 * self.speakers**2

    def relation(self, speakers: Tensor) -> Tensor:
        """Relation of each pair of turns, from [batch, turn] to [batch, receiver, sender]."""
        if self.relations == "four":
            return relations(speakers)
        return pair_relations(speakers, self.speakers)


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
    relation's sum is divided by the number of its edges; with `bases`, W_r is a learned mixture of
    so many matrices.
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        relations: int,
        *,
        mean: bool = False,
        bases: int | None = None,
    ) -> None:
        super().__init__()
        self.root = nn.Linear(width, outputs)
        bound, matrices = 1 / math.sqrt(width), bases or relations
        self.weight = nn.Parameter(torch.empty(matrices, width, outputs).uniform_(-bound, bound))
        self.mixture = nn.Parameter(torch.randn(relations, bases) / bases**0.5) if bases else None
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
        matrices = self.weight
        if self.mixture is not None:
            matrices = torch.tensordot(self.mixture, matrices, dims=1)
        by_relation = matrices.unbind()
        result: Tensor = self.root(nodes)
        # A dialogue has few of the 162 relations of nine speakers.
        present = relation[edges != 0].unique()  # type: ignore[no-untyped-call]
        for number in present.tolist():
            chosen = weights * (relation == number)
            if self.mean:
                chosen = chosen / (chosen != 0).sum(dim=-1, keepdim=True).clamp(min=1)
            result = result + chosen @ (nodes @ by_relation[number])
        return result


class RelationalGAT(nn.Module):
    """Graph attention whose maps and scores depend on the relation, dense.

    With r the relation of i and j: `out_i = W_root x_i + b + sum_j softmax_j(e_ij) W_r x_j` over
    all senders j, `e_ij = LeakyReLU(a_r . W_r x_i + c_r . W_r x_j)` of slope 0.2.
    """

    def __init__(self, width: int, outputs: int, relations: int) -> None:
        super().__init__()
        self.root = nn.Linear(width, outputs)
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(relations, width, outputs).uniform_(-bound, bound))
        self.receiver, self.sender = (
            nn.Parameter(torch.randn(relations, outputs, 1) / math.sqrt(outputs)) for _ in range(2)
        )

    def forward(self, nodes: Tensor, edges: Tensor, relation: Tensor) -> Tensor:
        """Pass messages once.

        Args:
            nodes: x, [batch, turn, width].
            edges: Boolean, [batch, receiver, sender].
            relation: [batch, receiver, sender]; read where there is an edge.

        Returns:
            [batch, turn, outputs].
        """
        mapped = nodes.unsqueeze(1) @ self.weight  # [batch, relation, turn, outputs]
        scores = mapped @ self.receiver + (mapped @ self.sender).transpose(2, 3)
        numbers = torch.arange(len(self.weight), device=relation.device).view(-1, 1, 1)
        chosen = relation.unsqueeze(1) == numbers
        score = functional.leaky_relu(scores, 0.2).masked_fill(~chosen, 0).sum(1)
        weights = masked_softmax(score, edges).unsqueeze(1) * chosen
        result: Tensor = self.root(nodes) + (weights @ mapped).sum(1)
        return result


class TransformerConv(nn.Module):
    """Attention along the edges of a graph (Shi et al., IJCAI 2021), dense, with one head.

    `out_i = W_skip x_i + sum_j softmax_j(q_i . k_j / sqrt(outputs)) v_j` over the senders j, where
    q, k and v are maps of x; every map has a bias.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(width, 3 * outputs)
        self.skip = nn.Linear(width, outputs)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Pass messages once.

        Args:
            nodes: x, [batch, turn, width].
            edges: Boolean, [batch, receiver, sender].

        Returns:
            [batch, turn, outputs].
        """
        query, key, value = self.query_key_value(nodes).chunk(3, dim=-1)
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
        result: Tensor = self.skip(nodes) + masked_softmax(scores, edges) @ value
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
