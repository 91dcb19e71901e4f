"""DialogueGCN: a relational graph over a window of turns, on top of a recurrent context."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.nn.attention import NodalAttention, masked_softmax
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.graph import RelationalGCN, RelationSettings, band
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.systems.base import Output, Settings, Shape, Source, System

BASES = 30
"""With more relations than this, their matrices are mixtures of this many."""

POSITIONS = 110
"""Turns with a row of their own in the release's edge weights; later ones share the last."""


class DialogueGcnSettings(Settings, RelationSettings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (100).")
    hidden: int = Field(
        ge=1, le=4096, description="Features of a state, per direction, and of a graph node (100)."
    )
    layers: int = Field(ge=1, le=24, description="Stacked LSTMs.")
    edge_weights: Literal["paper", "release"] = Field(
        description="paper: similarity of both turns; release: a learned row per sender's position."
    )
    attention: bool = Field(
        description="Mix the vectors of the whole dialogue for each turn, as the release does; "
        "false: mianzhang/dialogue_gcn."
    )
    dropout: float = Field(ge=0, lt=1, description="Between the LSTMs, and before the last layer.")


class EdgeWeights(nn.Module):
    """How much of each sender's message reaches a receiver.

    With g the states: `paper`: `A[i, j] = softmax_j(g_i . W g_j)`, what a turn receives sums to 1;
    `release`: `A[i, j] = softmax_i(w_j . g_i)`, where w_j belongs to position j of the dialogue:
    what a turn sends sums to 1.
    """

    def __init__(self, width: int, kind: Literal["paper", "release"]) -> None:
        super().__init__()
        self.by_position = kind == "release"
        self.score = nn.Linear(width, POSITIONS if self.by_position else width, bias=False)

    def forward(self, states: Tensor, edges: Tensor) -> Tensor:
        """Weigh edges, boolean [batch, receiver, sender], by states, [batch, turn, width]."""
        scores = self.score(states)
        if not self.by_position:
            return masked_softmax(states @ scores.transpose(1, 2), edges)
        position = torch.arange(states.shape[1], device=states.device).clamp(max=POSITIONS - 1)
        return masked_softmax(scores[..., position], edges, dim=1)


class DialogueGcn(System):
    """DialogueGCN with an LSTM for context.

    With u_t the modalities side by side, E the window and A its weights (`EdgeWeights`):
    `g = BiLSTM(u)`; `h_i = W_root g_i + b + sum_j A[i, j] W_relation(i, j) g_j`;
    `n_i = V_root h_i + c + sum_j E[i, j] V h_j`; `f = [g; n]`, with attention
    `NodalAttention([g; n])`; `logits_t = U dropout(ReLU(P f_t))`.
    """

    Settings = DialogueGcnSettings
    SOURCE = Source(
        fidelity="code",
        citation="Ghosal et al., DialogueGCN: A Graph Convolutional Neural Network for Emotion "
        "Recognition in Conversation, EMNLP 2019",
        commit="declare-lab/conv-emotion@6128ca20e9c736605cce7e99d5d95db0356c35f5",
        adapted="edge weights are the paper's, and those of a receiving turn sum to 1; the "
        "release's (`edge_weights: release`) are here without the 1e-10 that it leaves outside the "
        "window, and for any number of turns; four relations that need no speaker's number, where "
        "the code has two for each pair of speakers (`relations: pairs`, by first appearance); "
        "bases only for more than 30 relations; attention over the dialogue, which saturates on "
        "few dialogues, is off on the demo corpora; packed, so that no direction starts in the "
        "padding; all modalities through the common inputs, where the code has text alone; "
        "decoupled weight decay and clipped gradients; the epoch chosen on validation, where the "
        "code takes the best on test",
    )

    def __init__(self, settings: DialogueGcnSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        hidden, relations = settings.hidden, settings.relation_count
        self.NUMBERS_SPEAKERS = settings.relations == "pairs"
        self.inputs = Inputs(shape.features, settings.width, settings.limit)
        joined = len(shape.features) * settings.width
        self.lstm = PackedRNN("lstm", joined, hidden, settings.layers, settings.dropout)
        self.edge_weights = EdgeWeights(2 * hidden, settings.edge_weights)
        bases = BASES if relations > BASES else None
        self.relational = RelationalGCN(2 * hidden, hidden, relations, bases=bases)
        self.plain = RelationalGCN(hidden, hidden, relations=1)
        self.attention = NodalAttention(3 * hidden) if settings.attention else None
        self.head = nn.Sequential(
            nn.Linear(3 * hidden, hidden),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        states = self.lstm(self.inputs.joined(batch), batch.turn_mask)
        edges = band(batch.turn_mask, self.settings.past, self.settings.future)
        relation = self.settings.relation(batch.speakers)
        nodes = self.relational(states, self.edge_weights(states, edges), relation)
        nodes = self.plain(nodes, edges, torch.zeros_like(relation))
        vectors = torch.cat((states, nodes), dim=-1)
        if self.attention is not None:
            vectors = self.attention(vectors, batch.turn_mask)
        return Output(self.head(vectors))
