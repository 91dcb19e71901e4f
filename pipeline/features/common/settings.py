"""`extract`: what is extracted from a corpus."""

from pydantic import Field, field_validator

from pipeline.base.settings import Modality, Section, canonical


class ExtractSettings(Section):
    """Which modalities get a feature store; the others get an empty one within seconds."""

    modalities: tuple[Modality, ...] = Field(min_length=1)

    @field_validator("modalities")
    @classmethod
    def _canonical(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        return canonical(value)
