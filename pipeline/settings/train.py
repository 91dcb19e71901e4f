"""`train`: optimisation and stopping."""

from typing import Literal

from pydantic import Field, field_validator

from pipeline.settings.base import Section


class TrainSettings(Section):
    """One training run per seed; the best epoch is the one with the highest validation wF1."""

    seeds: tuple[int, ...] = Field(min_length=1)
    epochs: int = Field(ge=1, le=10_000, description="At most.")
    patience: int = Field(ge=1, description="Epochs without a better validation weighted F1.")
    batch_size: int = Field(ge=1, description="Dialogues per batch.")
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    warmup: float = Field(ge=0, lt=1, description="Share of all steps with a rising learning rate.")
    schedule: Literal["cosine", "constant"] = Field(
        description="After the warm-up: down to 0 at the last of `epochs`, or level."
    )
    gradient_clip: float = Field(gt=0, description="Largest norm of the gradient.")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names a seed twice: {list(value)}")
        if min(value) < 0 or max(value) >= 2**31:
            raise ValueError("seeds lie between 0 and 2147483647")
        return value
