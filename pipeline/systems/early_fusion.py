"""Early fusion: the modalities of a turn side by side, and a network of two layers."""

from typing import Literal

from pydantic import Field, model_validator
from torch import nn

from pipeline.nn.batch import DialogueBatch
from pipeline.nn.context import make_context
from pipeline.nn.inputs import Inputs
from pipeline.nn.precision import full_precision
from pipeline.nn.subnetworks import mlp
from pipeline.systems.base import Output, Settings, Shape, Source, System


class EarlyFusionSettings(Settings):
    """Sizes of the network, and what it knows of the other turns."""

    width: int = Field(ge=1, le=4096, description="Features per modality and utterance.")
    context: Literal["dialogue_rnn", "gru", "none"] = Field(
        description="Added to the utterances, of each modality by itself; none: a turn is alone."
    )
    dropout: float = Field(ge=0, lt=1, description="Of utterances, and before the last layer.")

    @model_validator(mode="after")
    def _agree(self) -> "EarlyFusionSettings":
        if self.context != "none" and self.width % 2:
            raise ValueError(
                f"width {self.width} is odd: context '{self.context}' needs half per direction"
            )
        return self


class EarlyFusion(System):
    """A network of two layers on the concatenated modalities of a turn.

    With u_t the modalities side by side: `logits_t = V dropout(ReLU(U u_t))`; with a context,
    u_m + context(u_m) of each modality takes the place of u_m. With one modality there is
    nothing to fuse.
    """

    Settings = EarlyFusionSettings
    SOURCE = Source(
        fidelity="code",
        citation="concatenation, which every fusion must beat",
        adapted="the context is MCN-CL's, so that it can be told what context alone brings",
    )

    def __init__(self, settings: EarlyFusionSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, modalities = settings.width, len(shape.features)
        self.inputs = Inputs(shape.features, width, settings.limit)
        self.dropout = nn.Dropout(settings.dropout)
        self.context = make_context(settings.context, modalities, width)
        self.head = mlp(modalities * width, width, shape.classes, settings.dropout)

    def forward(self, batch: DialogueBatch) -> Output:
        """Classify every turn of every dialogue."""
        utterances = self.dropout(self.inputs(batch))  # [modality, batch, turn, width]
        if self.context is not None:
            with full_precision(utterances):
                context = self.context(utterances, batch.turn_mask, batch.speakers)
            utterances = utterances + context
        return Output(self.head(utterances.movedim(0, 2).flatten(2)))
