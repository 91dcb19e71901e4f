"""DAG-ERC: a directed acyclic graph over the turns; each attends to new states of the past."""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from pipeline.nn.attention import masked_softmax
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.graph import predecessors
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision, precise
from pipeline.nn.recurrence import gru_state
from pipeline.systems.base import Output, Settings, Shape, Source, System


class DagErcSettings(Settings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    hidden: int = Field(ge=1, le=4096, description="Features of a state (300).")
    layers: int = Field(ge=1, le=24, description="Stacked graph layers.")
    omega: int = Field(
        ge=1, description="A turn reads back to this earlier turn of its speaker (1: the latest)."
    )
    dropout: float = Field(ge=0, lt=1, description="Before the last linear map.")


class DagErc(System):
    """Directed acyclic graph network; causal, blind to speakers' numbers.

    With u_t the modalities side by side: `H^0 = ReLU(W u)`, L layers (see `DagLayer`), and
    `logits = V dropout(MLP([H^0; ...; H^L; u]))`.
    """

    Settings = DagErcSettings
    SOURCE = Source(
        fidelity="code",
        citation="Shen et al., Directed Acyclic Graph Network for Conversational Emotion "
        "Recognition, ACL 2021",
        commit="shenwzh3/DAG-ERC@ba7639dd12cdfa77cbde762f22f94266b30073d2",
        adapted="all modalities through the common inputs, where the code reads RoBERTa-large "
        "text features as they are",
    )

    def __init__(self, settings: DagErcSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden, joined = settings.hidden, len(shape.features) * settings.width
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        self.project = nn.Sequential(nn.Linear(joined, hidden), nn.ReLU())
        self.layers = nn.ModuleList(DagLayer(hidden) for _ in range(settings.layers))
        self.head = nn.Sequential(
            nn.Linear(hidden * (settings.layers + 1) + joined, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        edges = predecessors(batch.speakers, batch.turn_mask, self.settings.omega)
        same = batch.speakers.unsqueeze(2) == batch.speakers.unsqueeze(1)
        utterances = self.inputs.joined(batch)
        states = [self.project(utterances)]
        with full_precision(utterances):
            states[0] = precise(states[0])
            for layer in self.layers:
                states.append(layer(states[-1], edges, same))
        return Output(self.head(torch.cat((*states, utterances), dim=-1)))


class DagLayer(nn.Module):
    """One layer of the graph, turn after turn.

    With h the layer's inputs, n its new states, over the predecessors j of turn i:
    `a_ij = softmax_j(w . [h_i; n_j] + b)`, `m_i = sum_j a_ij W_(same or other speaker) n_j`, 0
    without any; `n_i = GRU_node(input h_i, state m_i) + GRU_context(input m_i, state h_i)`.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.score = nn.Linear(2 * hidden, 1)
        self.same = nn.Linear(hidden, hidden, bias=False)
        self.other = nn.Linear(hidden, hidden, bias=False)
        self.node = nn.GRUCell(hidden, hidden)
        self.context = nn.GRUCell(hidden, hidden)

    def forward(self, states: Tensor, edges: Tensor, same: Tensor) -> Tensor:
        """Compute the new states of all turns.

        Args:
            states: h, [batch, turn, hidden].
            edges: True where a sender is a predecessor, see `predecessors`, [batch, receiver,
                sender].
            same: True where two turns are of one speaker, [batch, receiver, sender].

        Returns:
            [batch, turn, hidden].
        """
        receiver, sender = self.score.weight[0].chunk(2)
        # What the inputs alone decide, for all turns at once.
        queries = (states @ receiver + self.score.bias).unbind(1)
        nodes = linear(states, self.node.weight_ih, self.node.bias_ih).unbind(1)
        contexts = linear(states, self.context.weight_hh, self.context.bias_hh).unbind(1)
        weight = torch.cat((self.node.weight_hh, self.context.weight_ih))
        bias = torch.cat((self.node.bias_hh, self.context.bias_ih))
        reaches = edges.sum(2).amax(0).tolist()  # how many turns back any dialogue reads
        new: list[Tensor] = []
        for turn, (state, reach) in enumerate(zip(states.unbind(1), reaches, strict=True)):
            message = torch.zeros_like(state)
            if reach:
                seen = slice(turn - reach, turn)
                memory = torch.stack(new[seen], dim=1)
                scores = queries[turn].unsqueeze(1) + memory @ sender
                weights = masked_softmax(scores, edges[:, turn, seen])
                message = self._message(weights, memory, same[:, turn, seen])
            inner, outer = linear(message, weight, bias).chunk(2, dim=-1)
            node = gru_state(nodes[turn], inner, message)
            new.append(node + gru_state(outer, contexts[turn], state))
        return torch.stack(new, dim=1)

    def _message(self, weights: Tensor, memory: Tensor, same: Tensor) -> Tensor:
        """Compute m of one turn, [batch, hidden], from [batch, sender] and its [..., hidden]."""
        shares = torch.stack((weights.masked_fill(~same, 0), weights.masked_fill(same, 0)), dim=1)
        own, others = (shares @ memory).unbind(1)
        message: Tensor = self.same(own) + self.other(others)
        return message
