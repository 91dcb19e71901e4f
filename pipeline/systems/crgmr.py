"""Relational graph attention and a graph transformer, after CRGMR: a minimum, in our reading."""

import torch
from pydantic import Field, model_validator
from torch import nn
from torch.nn import functional

from pipeline.nn.attention import transformer
from pipeline.nn.batch import DialogueBatch
from pipeline.nn.graph import (
    RELATIONS,
    RelationalGAT,
    TransformerConv,
    WindowSettings,
    band,
    relations,
)
from pipeline.nn.inputs import Inputs
from pipeline.systems.base import Output, Settings, Shape, Source, System


class CrgmrSettings(Settings, WindowSettings):
    """Sizes of the network; none could be read, so the defaults in params.yaml are ours."""

    width: int = Field(ge=1, le=4096, description="Features of every vector but the logits.")
    layers: int = Field(ge=1, le=24, description="Of the transformer.")
    heads: int = Field(ge=1, le=64, description="Of the transformer.")
    dropout: float = Field(ge=0, lt=1, description="In the transformer, and before the last layer.")

    @model_validator(mode="after")
    def _agree(self) -> "CrgmrSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Crgmr(System):
    """A minimum of what CRGMR's abstract names.

    One transformer reads the vectors of all turns and modalities, each with its modality's vector
    added: `g_t = W [the modalities of turn t]`. Over a window E of turns and four relations:
    `r = RelationalGAT(g, E)`, `h = LeakyReLU(LayerNorm(TransformerConv(r, E)))`,
    `logits_t = V dropout(ReLU(U [g_t; h_t]))`.
    """

    Settings = CrgmrSettings
    SOURCE = Source(
        fidelity="our reading",
        citation="after Chen et al., CRGMR: A Contextualized RGAT and GraphTransformer Method for "
        "Multimodal Emotion Recognition, CCC 2024",
        adapted="only the abstract could be read, and there is no public code: this is a minimum "
        "with the parts that it names, put together as COGMEN is, and not the authors' model; "
        "equations and sizes are ours; the reinforcement learning of the related CRRGM is left out",
    )

    def __init__(self, settings: CrgmrSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities, dropout = settings.width, len(shape.features), settings.dropout
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.kinds = nn.Parameter(torch.randn(modalities, 1, 1, width))
        self.transformer = transformer(width, settings.heads, 4 * width, settings.layers, dropout)
        self.join = nn.Linear(modalities * width, width)
        self.relational = RelationalGAT(width, width, RELATIONS)
        self.convolution = TransformerConv(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(
            nn.Linear(2 * width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, shape.classes),
        )

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        vectors = self.inputs(batch) + self.kinds  # [modality, batch, turn, width]
        modalities, turns = vectors.shape[0], vectors.shape[2]
        padding = ~batch.turn_mask.repeat(1, modalities)
        mixed = self.transformer(vectors.movedim(0, 1).flatten(1, 2), src_key_padding_mask=padding)
        by_turn = mixed.unflatten(1, (modalities, turns)).movedim(1, 2)
        states = self.join(by_turn.flatten(2))
        edges = band(batch.turn_mask, self.settings.past, self.settings.future)
        nodes = self.relational(states, edges, relations(batch.speakers))
        nodes = functional.leaky_relu(self.norm(self.convolution(nodes, edges)))
        return Output(self.head(torch.cat((states, nodes), dim=-1)))
