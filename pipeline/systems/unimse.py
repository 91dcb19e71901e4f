"""UniMSE's fusion: adapters that mix audio and visual vectors into the layers of the text."""

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.entropy import Entropy
from pipeline.nn.info_nce import info_nce
from pipeline.nn.inputs import Inputs
from pipeline.nn.transformer_layers import PreNormLayer
from pipeline.systems.base import Output, Settings, Shape, Source, System

ADAPTED = ("visual", "audio")
"""The order of what an adapter reads beside its stream."""

SPREAD = 0.001
"""Standard deviation of the bottleneck's first weights."""


class UnimseSettings(Settings):
    """Sizes of the network and weight of its contrast; params.yaml says whose they are."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance (768).")
    layers: int = Field(ge=1, le=24, description="With an adapter each.")
    heads: int = Field(ge=1, le=64)
    feedforward: int = Field(ge=1, le=16384, description="Between the two maps of a layer.")
    hidden: int = Field(
        ge=1, le=4096, description="Features of the vectors that adapters read beside the text."
    )
    bottleneck: int = Field(ge=1, le=4096, description="Features within an adapter.")
    residual: bool = Field(
        description="An adapter adds to its stream, at first nothing; false: it replaces it."
    )
    contrastive: float = Field(
        ge=0, description="Weight of the contrast of text with audio, and with visual; 0: none."
    )
    projection: int = Field(ge=2, le=4096, description="Features of what is contrasted.")
    temperature: float = Field(gt=0, description="Tau.")
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _agree(self) -> "UnimseSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Adapter(nn.Module):
    """Pre-trained modality fusion: `W_o (F + W_up sigmoid(W_down F))`, `F = [h; v; a]`.

    `residual` adds h, and W_o starts at 0.
    """

    def __init__(self, settings: UnimseSettings, others: int) -> None:
        super().__init__()
        self.residual = settings.residual
        joined = settings.width + others * settings.hidden
        self.down = nn.Linear(joined, settings.bottleneck)
        self.up = nn.Linear(settings.bottleneck, joined)
        self.output = nn.Linear(joined, settings.width)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=SPREAD)
            nn.init.zeros_(layer.bias)
        if self.residual:
            nn.init.zeros_(self.output.weight)
            nn.init.zeros_(self.output.bias)

    def forward(self, stream: Tensor, others: list[Tensor]) -> Tensor:
        """Mix [..., hidden] of each other modality into h, [..., width]."""
        joined = torch.cat((stream, *others), dim=-1)
        mixed: Tensor = self.output(joined + self.up(torch.sigmoid(self.down(joined))))
        return stream + mixed if self.residual else mixed


class Unimse(System):
    """Layers of self-attention over the text's turns, an adapter behind each.

    `h <- PreNormLayer(h)`, whose keys are the turns with text; `h <- Adapter(h, v, a)`, v and a
    linear maps of the utterance's vectors; `logits = W h`;
    `L = CE + lambda sum over m of InfoNCE(P_t h', P_m m; tau)`, h' being the input of the last
    layer, over the turns that have both. Without text the first modality in use takes its place;
    alone it has adapters of its own stream only.
    """

    Settings = UnimseSettings
    SOURCE = Source(
        fidelity="code",
        citation="Hu et al., UniMSE: Towards Unified Multimodal Sentiment Analysis and Emotion "
        "Recognition, EMNLP 2022",
        commit="LeMei/UniMSE@a9fbb4f98c74938547b518295368f8d71b951a24",
        adapted="its fusion alone: no T5, which writes the label, no labels lent between corpora; "
        "three new layers over the turns of a dialogue, where the code has T5's last ones over "
        "the tokens of a turn; width 256 (768) with 4 heads (12); one vector per utterance, where "
        "it has LSTMs over frames; by default adapters add to the stream and begin with nothing, "
        "where the code's random map replaces it; the contrast on, as in the paper, where the "
        "code's default is off, with a map for each modality, where audio and visual share one; "
        "cross-entropy; decoupled weight decay; clipped gradients; dialogues, about the code's 32 "
        "utterances, a step; the epoch chosen on validation",
    )

    def __init__(self, settings: UnimseSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width = settings.width
        self.main, *others = shape.features
        self.others = [m for m in ADAPTED if m in others]
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.narrow = nn.ModuleDict({m: nn.Linear(width, settings.hidden) for m in self.others})
        self.layers = nn.ModuleList(
            PreNormLayer(width, settings.heads, settings.feedforward, settings.dropout)
            for _ in range(settings.layers)
        )
        self.adapters = nn.ModuleList(
            Adapter(settings, len(self.others)) for _ in range(settings.layers)
        )
        self.projections = nn.ModuleDict()
        if settings.contrastive and self.others:
            self.projections[self.main] = nn.Linear(width, settings.projection, bias=False)
            for modality in self.others:
                self.projections[modality] = nn.Linear(
                    settings.hidden, settings.projection, bias=False
                )
        self.head = nn.Linear(width, shape.classes)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn; `extra` has what is contrasted, by modality."""
        vectors = dict(zip(self.inputs.modalities, self.inputs(batch).unbind(), strict=True))
        others = {m: self.narrow[m](vectors[m]) for m in self.others}
        usable = batch.available(self.main)
        stream = entering = vectors[self.main]
        for layer, adapter in zip(self.layers, self.adapters, strict=True):
            entering = stream
            stream = adapter(layer(stream, stream, usable), list(others.values()))
        contrasted = {self.main: entering, **others}
        extra = {m: project(contrasted[m]) for m, project in self.projections.items()}
        return Output(self.head(stream), extra)

    def losses(self, output: Output, batch: DialogueBatch, entropy: Entropy) -> dict[str, Tensor]:
        """Cross-entropy, and the contrast of the text with each other modality."""
        terms = super().losses(output, batch, entropy)
        settings: UnimseSettings = self.settings
        for modality in self.others if output.extra else ():
            both = batch.available(self.main) & batch.available(modality)
            text, other = (output.extra[m][both] for m in (self.main, modality))
            loss = info_nce(text, other, settings.temperature)
            terms[f"contrastive_{modality}"] = settings.contrastive * loss
        return terms
