"""M3NET: means over hyperedges, and a second branch that also keeps what differs."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.graph import band
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.nn.speakers import SpeakerEmbedding
from pipeline.systems.base import Output, Settings, Shape, Source, System


class M3netSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(
        ge=2, le=4096, multiple_of=2, description="Features per modality and utterance (512)."
    )
    layers: int = Field(ge=1, le=24, description="Convolutions of the hypergraph.")
    frequency_layers: int = Field(ge=1, le=24, description="Layers of the high-frequency branch.")
    hyperedge_weights: Literal["by_kind", "none"] = Field(
        description="by_kind: learned, of a modality's nodes and hyperedge and of the turns'; "
        "none: all are 1."
    )
    dropout: float = Field(ge=0, lt=1, description="Between the GRUs, and before the last layer.")


class Hypergraph(nn.Module):
    """Convolutions of a hypergraph without weight matrices: means of means.

    A hyperedge joins the n turns of a modality m, another the modalities of a turn t. With weights
    of nodes, v, and of hyperedges, w, all of them 1 at the start:
    `y_m = sum_t x_mt / (n v_m)`, `y_t = sum_m x_mt / sum_m v_m`,
    `x_mt <- LeakyReLU_0.01((y_m + y_t) / (w_m + w_turn) + b)`, b of each layer.
    """

    log_weights: Tensor
    """Of v by modality, w by modality, and w_turn: no weight is ever 0 or less."""

    def __init__(self, modalities: int, width: int, layers: int, *, weighted: bool) -> None:
        super().__init__()
        self.biases = nn.ParameterList(torch.zeros(width) for _ in range(layers))
        ones = torch.zeros(2 * modalities + 1)
        if weighted:
            self.log_weights = nn.Parameter(ones)
        else:
            self.register_buffer("log_weights", ones, persistent=False)

    def forward(self, nodes: Tensor, turn_mask: Tensor) -> Tensor:
        """Map x, finite, [modality, batch, turn, width], to the same shape."""
        for bias in self.biases:
            nodes = functional.leaky_relu(self.mean(nodes, turn_mask) + bias)
        return nodes

    def mean(self, nodes: Tensor, turn_mask: Tensor) -> Tensor:
        """One convolution without bias and activation; axes as in `forward`."""
        weights, count = self.log_weights.exp().view(-1, 1, 1, 1), len(nodes)
        of_nodes, of_modalities, of_turns = weights[:count], weights[count:-1], weights[-1]
        turns = turn_mask.sum(dim=1).clamp(min=1)[:, None, None]
        total = nodes.masked_fill(~turn_mask.unsqueeze(-1), 0).sum(dim=2, keepdim=True)
        modality, turn = total / (turns * of_nodes), nodes.sum(dim=0) / of_nodes.sum()
        return (modality + turn) / (of_modalities + of_turns)


class FrequencyLayer(nn.Module):
    """A layer of the high-frequency branch: neighbours are added or subtracted, as a gate says.

    `x_i <- x_i + sum_j tanh(w . [x_i; x_j] + b) x_j / d`, over the d neighbours j of node i: the
    other turns of its modality, and the other modalities of its turn.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, 1)

    def forward(self, nodes: Tensor, turn_mask: Tensor) -> Tensor:
        """Map x, finite, [modality, batch, turn, width], to the same shape."""
        modalities, _, turns, _ = nodes.shape
        # The gate is a sum of a part of each node: no pair of nodes is ever joined.
        weight = self.gate.weight.view(2, -1)
        own, other = nodes @ weight[0] + self.gate.bias, nodes @ weight[1]
        others = ~torch.eye(turns, dtype=torch.bool, device=nodes.device)
        gates = torch.tanh(own.unsqueeze(-1) + other.unsqueeze(-2))
        added = gates.masked_fill(~(band(turn_mask, -1, -1) & others), 0) @ nodes
        for shift in range(1, modalities):
            gate = torch.tanh(own + other.roll(shift, 0)).unsqueeze(-1)
            added = added + gate * nodes.roll(shift, 0)
        degree = (turn_mask.sum(dim=1) + modalities - 2).clamp(min=1)
        return nodes + added / degree[:, None, None]


class M3net(System):
    """A node per turn and modality, in two branches from the same start.

    Nodes: `W e`, where e is u for audio and visual, `BiGRU(u) + Embedding(speaker)` for text. With
    x of the hypergraph and g of the high-frequency layers:
    `logits_t = V dropout(ReLU([x; g] of the nodes of turn t))`. A turn that lacks a modality keeps
    its node, with a learned vector; a modality that is switched off has no nodes.
    """

    Settings = M3netSettings
    SOURCE = Source(
        fidelity="code",
        citation="Chen et al., Multivariate, Multi-Frequency and Multimodal: Rethinking Graph "
        "Neural Networks for Emotion Recognition in Conversation, CVPR 2023",
        commit="feiyuchen7/M3NET@4d0fa88cd4f92c72b053527e877763f54e29ccb2",
        adapted="weights of nodes and hyperedges by kind, where the code has one for each number "
        "in the batch, so that a prediction depends on batch mates; standardised common inputs, "
        "where the code has the mean of four text layers after batch normalisation; one width, "
        "where its GRU on MELD is twice as wide as the graph; packed, so that no direction starts "
        "in the padding; cross-entropy, where the code has on MELD a focal loss that takes the "
        "log-probability for the probability; decoupled weight decay and clipped gradients; "
        "speakers numbered by first appearance; the epoch chosen on validation, where the code "
        "takes the best on test",
    )

    def __init__(self, settings: M3netSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.NUMBERS_SPEAKERS = "text" in shape.features
        width, modalities = settings.width, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        if "text" in modalities:
            self.gru = PackedRNN("gru", width, width // 2, 2, settings.dropout)
            self.speakers = SpeakerEmbedding(width)
        self.start = nn.Linear(width, width)
        weighted = settings.hyperedge_weights == "by_kind"
        self.hypergraph = Hypergraph(len(modalities), width, settings.layers, weighted=weighted)
        self.frequency = nn.ModuleList(
            FrequencyLayer(width) for _ in range(settings.frequency_layers)
        )
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(2 * len(modalities) * width, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        nodes = self.start(self._encode(batch))
        branches = [self.hypergraph(nodes, batch.turn_mask), nodes]
        for layer in self.frequency:
            branches[1] = layer(branches[1], batch.turn_mask)
        joined = torch.cat(branches, dim=-1)
        return Output(self.head(joined.movedim(0, 2).flatten(2)))

    def _encode(self, batch: DialogueBatch) -> Tensor:
        """Encode each modality, [modality, batch, turn, width]."""
        utterances: Tensor = self.inputs(batch)
        if "text" not in self.shape.features:
            return utterances
        text, *others = utterances.unbind()
        text = self.gru(text, batch.turn_mask) + self.speakers(batch.speakers)
        return torch.stack((text, *others))
