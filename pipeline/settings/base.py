"""What every section of params.yaml has in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Modality = Literal["text", "audio", "visual"]
MODALITIES: tuple[Modality, ...] = ("text", "audio", "visual")


class Section(BaseModel):
    """A section of params.yaml for one corpus: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
