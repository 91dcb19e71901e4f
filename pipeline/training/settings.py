"""`train`: optimisation and stopping."""

from typing import Literal

from pydantic import Field, field_validator

from pipeline.base.settings import Section


class TrainSettings(Section):
    """One training run per seed; the best epoch is the one with the highest validation wF1."""

    seeds: tuple[int, ...] = Field(min_length=1)
    epochs: int = Field(ge=1, le=10_000, description="At most.")
    patience: int = Field(ge=1, description="Epochs without a better validation weighted F1.")
    workers: int = Field(
        ge=1, le=256, description="Processes that train seeds and folds; changes no byte."
    )
    threads: int = Field(
        ge=1, le=256, description="CPU threads of a process; they enter the last bits."
    )
    batch_size: int = Field(ge=1, description="Dialogues per batch.")
    sampling: Literal["all", "class_balanced"] = Field(
        description="Each dialogue once an epoch, or those with rare classes more often."
    )
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    warmup: float = Field(ge=0, lt=1, description="Share of all steps with a rising learning rate.")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        description="After the warm-up: down to 0 at the last of `epochs`, lower when validation "
        "no longer improves, or level."
    )
    plateau_patience: int = Field(
        ge=0, description="plateau: epochs without improvement before the rate drops."
    )
    plateau_factor: float = Field(gt=0, lt=1, description="plateau: the rate is multiplied by it.")
    gradient_clip: float = Field(gt=0, description="Largest norm of the gradient.")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"names a seed twice: {list(value)}")
        if min(value) < 0 or max(value) >= 2**31:
            raise ValueError("seeds lie between 0 and 2147483647")
        return value
