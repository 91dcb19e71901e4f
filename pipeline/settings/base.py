"""What every section of params.yaml has in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Modality = Literal["text", "audio", "visual"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "visual")


class Section(BaseModel):
    """A section of params.yaml for one corpus: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def canonical(modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
    """The modalities in the one order used everywhere.

    Raises:
        ValueError: One is named twice.
    """
    if len(set(modalities)) != len(modalities):
        raise ValueError(f"names a modality twice: {list(modalities)}")
    return tuple(m for m in MODALITIES if m in modalities)
