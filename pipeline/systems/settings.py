"""Settings `model` and `loss` of MCN-CL: its parts, and what the paper leaves open."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.base.settings import MODALITIES, Modality, Section, canonical


class ModelSettings(Section):
    """Parts and sizes of the model; defaults in params.yaml follow the paper where it is clear."""

    modalities: tuple[Modality, ...] = Field(min_length=1)
    width: int = Field(ge=8, le=4096, description="Features per modality and utterance (256).")
    psa: bool = Field(description="Pyramid squeeze attention over frames; false: a masked mean.")
    psa_groups: int = Field(ge=1, le=8, description="Branches S, with kernels 3, 5, 7, 9, ...")
    psa_activation: Literal["relu", "none"] = Field(
        description="none: eq. 5 to the letter, which ignores the order of all but the edge frames."
    )
    context: Literal["dialogue_rnn", "gru", "none"]
    residual: bool = Field(
        description="Add the utterance's own features to its context; false: the context alone."
    )
    mcn: bool = Field(description="Multimodal cross-attention; false: context features pass as is.")
    layers: int = Field(ge=1, le=24, description="Stacked cross-attention layers T.")
    heads: int = Field(ge=1, le=64, description="Attention heads H.")
    contrastive: bool = Field(description="Projection heads and the supervised contrastive loss.")
    projection: int = Field(ge=2, le=4096, description="Features of a projection head.")
    dropout: float = Field(ge=0, lt=1)
    limit: float = Field(gt=0, description="Clamp standardised inputs to +- this many stds.")

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


class LossSettings(Section):
    """`CE + contrastive * (sum over modalities of weight * L_m)`, eq. 24-27."""

    class_weights: Literal["none", "inverse", "effective_number"] = Field(
        description="Cross-entropy weights from the train split's class counts."
    )
    label_smoothing: float = Field(ge=0, lt=1)
    focal: float = Field(
        ge=0, le=10, description="Gamma of the focal loss, which favours hard utterances; 0: off."
    )
    contrastive: float = Field(ge=0, description="Lambda, the weight of the contrastive loss.")
    text_weight: float = Field(ge=0, description="Alpha of eq. 27.")
    audio_weight: float = Field(ge=0, description="Beta of eq. 27.")
    visual_weight: float = Field(ge=0, description="Gamma of eq. 27.")
    temperature: float = Field(gt=0, description="Tau.")
    hard_ratio: float | None = Field(
        gt=0, le=1, description="Share of negatives kept, the most similar (eq. 25); null: all."
    )
    denominator: Literal["positives_and_hard", "all"] = Field(
        description="positives_and_hard: eq. 26; all: eq. 24, which counts positives twice."
    )

    @model_validator(mode="after")
    def _agree(self) -> "LossSettings":
        if self.denominator == "all" and self.hard_ratio is not None:
            raise ValueError(
                "denominator 'all' (eq. 24) has no hard negatives: set hard_ratio to null"
            )
        return self

    @property
    def modality_weights(self) -> dict[str, float]:
        """Weights of the modalities' contrastive terms (eq. 27)."""
        return {m: getattr(self, f"{m}_weight") for m in MODALITIES}
