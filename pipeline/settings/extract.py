"""`extract`: what is extracted from a corpus."""

from pydantic import Field, field_validator

from pipeline.settings.base import MODALITIES, Modality, Section


class ExtractSettings(Section):
    """Which modalities get a feature store; the others get an empty one within seconds."""

    modalities: tuple[Modality, ...] = Field(min_length=1)

    @field_validator("modalities")
    @classmethod
    def _canonical(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        return canonical(value)


def canonical(modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
    """The modalities in the one order used everywhere.

    Raises:
        ValueError: One is named twice.
    """
    if len(set(modalities)) != len(modalities):
        raise ValueError(f"names a modality twice: {list(modalities)}")
    return tuple(m for m in MODALITIES if m in modalities)
