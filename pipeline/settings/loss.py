"""`loss`: cross-entropy plus the weighted contrastive terms."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.settings.base import MODALITIES, Section


class LossSettings(Section):
    """`CE + contrastive * (sum over modalities of weight * L_m)`, eq. 24-27."""

    class_weights: Literal["none", "inverse", "effective_number"] = Field(
        description="Cross-entropy weights from the train split's class counts."
    )
    label_smoothing: float = Field(ge=0, lt=1)
    focal: float = Field(
        ge=0, le=10, description="Gamma of the focal loss: easy utterances count less; 0: alike."
    )
    contrastive: float = Field(ge=0, description="Lambda, the weight of the contrastive loss.")
    modality_weights: dict[str, float] = Field(description="Alpha, beta, gamma of eq. 27.")
    temperature: float = Field(gt=0, description="Tau.")
    hard_ratio: float | None = Field(
        gt=0, le=1, description="Share of most similar negatives that are kept (eq. 25); null: all."
    )
    denominator: Literal["positives_and_hard", "all"] = Field(
        description="positives_and_hard is eq. 26; all is eq. 24, which counts positives twice."
    )

    @model_validator(mode="after")
    def _agree(self) -> "LossSettings":
        if self.denominator == "all" and self.hard_ratio is not None:
            raise ValueError(
                "denominator 'all' (eq. 24) knows no hard negatives: set hard_ratio null"
            )
        if set(self.modality_weights) != set(MODALITIES):
            raise ValueError(f"modality_weights must name {list(MODALITIES)}")
        if min(self.modality_weights.values()) < 0:
            raise ValueError("modality_weights must not be negative")
        return self
