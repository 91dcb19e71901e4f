"""`model`: the parts of MCN-CL, and a setting for everything the paper leaves open."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.settings.base import Modality, Section, canonical


class ModelSettings(Section):
    """What is built; the defaults of params.yaml follow the paper where it speaks."""

    modalities: tuple[Modality, ...] = Field(min_length=1)
    width: int = Field(ge=8, le=4096, description="Features per modality and utterance (256).")
    psa: bool = Field(description="Pyramid squeeze attention over frames; off: their masked mean.")
    psa_groups: int = Field(ge=1, le=8, description="Branches S, with kernels 3, 5, 7, 9, ...")
    psa_activation: Literal["relu", "none"] = Field(
        description="none is eq. 5 to the letter, which cannot see the order of interior frames."
    )
    context: Literal["dialogue_rnn", "gru", "none"]
    residual: bool = Field(
        description="The utterance's own features are added to its context; off: the context alone."
    )
    mcn: bool = Field(description="Multimodal cross-attention; off: context features go on as are.")
    layers: int = Field(ge=1, le=24, description="Stacked cross-attention layers T.")
    heads: int = Field(ge=1, le=64, description="Attention heads H.")
    contrastive: bool = Field(description="Projection heads and the supervised contrastive loss.")
    projection: int = Field(ge=2, le=4096, description="Features of a projection head.")
    dropout: float = Field(ge=0, lt=1)
    limit: float = Field(gt=0, description="Standardised inputs are clamped to +- this many stds.")

    @field_validator("modalities")
    @classmethod
    def _canonical(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        return canonical(value)

    @model_validator(mode="after")
    def _divisible(self) -> "ModelSettings":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.width % (4 * self.psa_groups):
            raise ValueError(f"width {self.width} is not a multiple of 4 x psa_groups")
        return self
