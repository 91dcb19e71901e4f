"""A graph with a node per turn and modality, and deep convolutions over it (MMGCN, MM-DFN).

The nodes of a dialogue are in order of modality, then of turn. Two are joined if they are of the
same modality or of the same turn. Graphs are dense: within a modality every turn is joined to all.
"""

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.base.settings import Section
from pipeline.nn.precision import full_precision, precise

SHRINK = 0.99999
"""Keeps the cosine of equal vectors where the slope of arccos is finite."""

SHORT = 1e-3
"""Vectors shorter than this count as this long, which bounds the gradient of a zero vector."""

LAMBDA = 0.5
"""How fast the maps of later layers approach the identity."""


class MultimodalGraphSettings(Section):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(
        ge=2, le=4096, multiple_of=2, description="Features per modality and utterance (200)."
    )
    hidden: int = Field(ge=1, le=4096, description="Features of a node in the convolutions (100).")
    layers: int = Field(ge=1, le=256, description="Convolutions.")
    dropout: float = Field(ge=0, lt=1)


def angular_adjacency(nodes: Tensor, turn_mask: Tensor) -> Tensor:
    """Weigh the edges by angular similarity, normalised symmetrically.

    Where p and q are joined, `A[p, q] = s(p, q) / sqrt(d(p) d(q))`, with the degree
    `d(p) = sum_q s(p, q)` and `s(p, q) = 1 - arccos(0.99999 cos(p, q)) / pi`. A node is joined to
    itself.

    Args:
        nodes: Finite, [modality, batch, turn, width].
        turn_mask: True where a turn is real, [batch, turn].

    Returns:
        [batch, modality * turn, modality * turn], zeros in padding.
    """
    modalities, _, turns, _ = nodes.shape
    directions = functional.normalize(nodes, dim=-1, eps=SHORT).transpose(0, 1).flatten(1, 2)
    cosine = (directions @ directions.transpose(1, 2)).clamp(-1, 1)  # products in TF32 exceed 1
    similarity = 1 - arccos(SHRINK * cosine) / math.pi
    number = torch.arange(modalities * turns, device=nodes.device)
    modality, turn = number // turns, number % turns
    joined = (modality.unsqueeze(1) == modality) | (turn.unsqueeze(1) == turn)
    real = turn_mask.repeat(1, modalities)
    joined = joined & real.unsqueeze(1) & real.unsqueeze(2)
    weights = similarity.masked_fill(~joined, 0)
    scale = weights.sum(dim=-1).masked_fill(~real, 1).rsqrt()
    return scale.unsqueeze(2) * weights * scale.unsqueeze(1)


def arccos(cosine: Tensor) -> Tensor:
    """Angles of cosines within (-1, 1), by `atan2(sqrt((1 - c) (1 + c)), c)`.

    Torch's own is MKL's, which gives other last bits on other CPUs whatever is pinned, as may its
    square root; it takes `rsqrt` from the CPU itself.
    """
    square = (1 - cosine) * (1 + cosine)
    return torch.atan2(square * square.rsqrt(), cosine)


class GCNII(nn.Module):
    """Layer number l of GCNII (Chen et al., ICML 2020), in the variant with two maps.

    `h' = theta [m; h0] W + (1 - theta) ((1 - alpha) m + alpha h0)`, with m = A h what the
    neighbours send, h0 the nodes before the first layer and `theta = ln(lambda / l + 1)`.
    """

    def __init__(self, hidden: int, alpha: float, number: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden)
        self.weight = nn.Parameter(torch.empty(2 * hidden, hidden).uniform_(-bound, bound))
        self.alpha, self.theta = alpha, math.log(LAMBDA / number + 1)

    def forward(self, states: Tensor, first: Tensor, adjacency: Tensor) -> Tensor:
        """Pass messages once.

        Args:
            states: h, [batch, node, hidden].
            first: h0, of the same shape.
            adjacency: A, [batch, node, node].

        Returns:
            [batch, node, hidden].
        """
        received = adjacency @ states
        mapped = torch.cat((received, first), dim=-1) @ self.weight
        return torch.lerp(torch.lerp(received, first, self.alpha), mapped, self.theta)


class DeepGraph(nn.Module):
    """Stacked GCNII over the graph of each dialogue; with a memory, an LSTM runs across the layers.

    With x the nodes: `h0 = ReLU(W x + b)`, then per layer `h <- ReLU(GCNII(h, h0, A))`. With a
    memory the layer reads the LSTM's state after it has read h, and h is added to what comes out.
    Dropout is on x, which A does not see, on h0, and on what each layer gives, before h is added.

    Args:
        settings: Sizes and dropout.
        alpha: Share of h0 in what a layer reads.
        memory: Whether layers share an LSTM.
    """

    def __init__(
        self, settings: MultimodalGraphSettings, *, alpha: float, memory: bool = False
    ) -> None:
        super().__init__()
        hidden = settings.hidden
        self.dropout = nn.Dropout(settings.dropout)
        self.project = nn.Linear(settings.width, hidden)
        self.cell = nn.LSTMCell(hidden, hidden) if memory else None
        numbers = range(1, settings.layers + 1)
        self.layers = nn.ModuleList(GCNII(hidden, alpha, number) for number in numbers)

    def forward(self, nodes: Tensor, turn_mask: Tensor) -> Tensor:
        """Mix the nodes of each dialogue.

        Args:
            nodes: x, [modality, batch, turn, width]; finite.
            turn_mask: True where a turn is real, [batch, turn].

        Returns:
            `[x; h]` of the modalities of a turn side by side,
            [batch, turn, modality * (width + hidden)].
        """
        with full_precision(nodes):
            nodes = precise(nodes).masked_fill(~turn_mask.unsqueeze(-1), 0)
            adjacency = angular_adjacency(nodes, turn_mask)
            dropped: Tensor = self.dropout(nodes.transpose(0, 1).flatten(1, 2))
            states = self._convolve(torch.relu(self.project(dropped)), adjacency)
        both = torch.cat((dropped, states), dim=-1)
        turns = turn_mask.shape[1]
        return both.view(len(both), -1, turns, both.shape[-1]).transpose(1, 2).flatten(2)

    def _convolve(self, first: Tensor, adjacency: Tensor) -> Tensor:
        """Map h0 to h of the last layer, both [batch, node, hidden]."""
        states: Tensor = self.dropout(first)
        memory = None
        for layer in self.layers:
            before = states
            if self.cell is not None:
                memory = self.cell(before.flatten(0, 1), memory)
                states = memory[0].view_as(before)
            states = self.dropout(torch.relu(layer(states, first, adjacency)))
            if self.cell is not None:
                states = states + before
        return states


def turn_classifier(
    modalities: int, settings: MultimodalGraphSettings, classes: int
) -> nn.Sequential:
    """Map what `DeepGraph` gives to logits, [batch, turn, class]."""
    features = modalities * (settings.width + settings.hidden)
    return nn.Sequential(nn.ReLU(), nn.Dropout(settings.dropout), nn.Linear(features, classes))
