"""GA2MIF: graph attention within each modality, then attention between pairs of modalities."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.attention import MultiHeadAttention
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.graph import WindowSettings
from pipeline.nn.graph_attention import GATv2
from pipeline.nn.inputs import Inputs
from pipeline.nn.packed import PackedRNN
from pipeline.nn.speakers import SpeakerEmbedding
from pipeline.systems.base import Output, Settings, Shape, Source, System

SPEAKER_SHARE = 1.6
"""What the speaker's vector is multiplied by."""

PUBLIC_ORDER = ("audio", "visual", "text")
"""Of the sums in the public code, whose released form keeps only the last term of each."""


class Ga2mifSettings(Settings, WindowSettings):
    """Sizes of the network; defaults in params.yaml are the public code's."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (200).")
    rounds: int = Field(ge=1, le=24, description="Passes of a modality's one graph attention.")
    graph_heads: int = Field(ge=1, le=64, description="Heads of the graph attention.")
    layers: int = Field(ge=1, le=24, description="Stacked layers of cross-modal attention.")
    heads: int = Field(ge=1, le=64, description="Heads of the cross-modal attention.")
    wiring: Literal["intended", "released"] = Field(
        description="intended: a modality is updated with both others as queries; released: with "
        "the last of them alone, as later branches of the public code overwrite its sums."
    )
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _agree(self) -> "Ga2mifSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Unimodal(nn.Module):
    """Stage 1 of a modality: its encoder, the speakers, rounds of graph attention.

    `x = e(u) + 1.6 * Embedding(speaker)`, then in each round `x <- LN(x + GATv2(x))` with the same
    weights. The encoder e is `tanh(u)`, for text `W' BiLSTM(W u)`.
    """

    def __init__(self, modality: str, settings: Ga2mifSettings) -> None:
        super().__init__()
        width = settings.width
        self.rounds = settings.rounds
        self.lstm = None
        if modality == "text":
            self.enter = nn.Linear(width, 2 * width)
            self.lstm = PackedRNN("lstm", 2 * width, width, 2, settings.dropout)
            self.leave = nn.Linear(2 * width, width)
        self.graph = GATv2(width, settings.graph_heads, settings.past, settings.future)
        self.norm = nn.LayerNorm(width)

    def forward(self, utterances: Tensor, speakers: Tensor, turn_mask: Tensor) -> Tensor:
        """Map utterances and vectors of speakers, [batch, turn, width], to the same shape."""
        if self.lstm is None:
            encoded = torch.tanh(utterances)
        else:
            encoded = self.leave(self.lstm(self.enter(utterances), turn_mask))
        nodes: Tensor = encoded + SPEAKER_SHARE * speakers
        for _ in range(self.rounds):
            nodes = self.norm(nodes + self.graph(nodes, turn_mask))
        return nodes


class CrossModal(nn.Module):
    """A layer of stage 2 for one modality: others ask, and its own turns answer.

    `x <- LN(x + dropout(sum over partners p of MHA(query: x_p; key, value: x)))`,
    `x <- LN(x + dropout(W_2 dropout(ReLU(W_1 x))))`.
    """

    def __init__(self, partners: Sequence[str], settings: Ga2mifSettings) -> None:
        super().__init__()
        width = settings.width
        self.attentions = nn.ModuleDict(
            {p: MultiHeadAttention(width, settings.heads) for p in partners}
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.attended, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(settings.dropout),
        )

    def forward(self, own: Tensor, streams: Mapping[str, Tensor], turn_mask: Tensor) -> Tensor:
        """Update one modality from all, each [batch, turn, width]."""
        answers = [ask(streams[p], own, turn_mask) for p, ask in self.attentions.items()]
        own = self.attended(own + self.dropout(torch.stack(answers).sum(dim=0)))
        updated: Tensor = self.norm(own + self.feed_forward(own))
        return updated


class Ga2mif(System):
    """Stage 1 per modality, stage 2 between modalities, `logits = V (W [x of all] + b) + c`.

    As intended, modality m has both others as partners. As released, it has the last of them in the
    order audio, visual, text: audio then is no query at all. A single modality has no partner, and
    no stage 2.
    """

    Settings = Ga2mifSettings
    SOURCE = Source(
        fidelity="code",
        citation="Li et al., GA2MIF: Graph and Attention Based Two-Stage Multi-Source Information "
        "Fusion for Conversational Emotion Detection, IEEE Transactions on Affective Computing "
        "15(1), 2024",
        commit="lijfrank-open/GA2MIF@56104c3e5b7e5e15bf0b853bdac029364a5a3b1d",
        adapted="attention as intended, judged from the code's six modules, where branches that "
        "follow overwrite its sums (a setting has it as released); padded turns are masked, where "
        "the code adds 1 to scores of real turns and attends to padding; what the code never uses "
        "(sum-product gates, relation embeddings, classifiers of a modality without a loss) is "
        "left out; all modalities through the common inputs; without AMSGrad; clipped gradients; "
        "speakers numbered by first appearance; the epoch chosen on validation, where the code "
        "takes the best on test; the values for MELD, which are not published, are those for "
        "IEMOCAP without class weights",
    )
    NUMBERS_SPEAKERS = True

    def __init__(self, settings: Ga2mifSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities = settings.width, tuple(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.speakers = SpeakerEmbedding(width)
        self.unimodal = nn.ModuleDict({m: Unimodal(m, settings) for m in modalities})
        self.cross_modal = nn.ModuleList(
            nn.ModuleDict({m: CrossModal(self._partners(m), settings) for m in modalities})
            for _ in range(settings.layers if len(modalities) > 1 else 0)
        )
        self.head = nn.Sequential(
            nn.Linear(len(modalities) * width, width), nn.Linear(width, shape.classes)
        )

    def _partners(self, modality: str) -> tuple[str, ...]:
        """The modalities that ask this one."""
        others = tuple(m for m in PUBLIC_ORDER if m in self.shape.features and m != modality)
        return others if self.settings.wiring == "intended" else others[-1:]

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        real, speakers = batch.turn_mask, self.speakers(batch.speakers)
        utterances = zip(self.unimodal.items(), self.inputs(batch).unbind(), strict=True)
        streams = {m: encoder(u, speakers, real) for (m, encoder), u in utterances}
        for layer in self.cross_modal:
            assert isinstance(layer, nn.ModuleDict)
            streams = {m: update(streams[m], streams, real) for m, update in layer.items()}
        return Output(self.head(torch.cat(tuple(streams.values()), dim=-1)))
