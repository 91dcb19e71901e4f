"""`extract`: what is extracted from a corpus, and what is taken from files of others instead."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.base.settings import Modality, Section, TrainedOn, below, canonical


class ExtractSettings(Section):
    """Which modalities get a feature store; the others get an empty one within seconds."""

    modalities: tuple[Modality, ...] = Field(min_length=1)
    imported: dict[Modality, str] = Field(
        default_factory=dict,
        description="Files or folders of features below the raw folder, by modality: their vectors "
        "are taken as they are, and nothing is extracted.",
    )
    layers: Literal["first", "mean", "concat"] = Field(
        default="first", description="Of an imported text with four layers."
    )
    zeros: Literal["missing", "keep"] = Field(
        default="missing", description="What imported vectors of zeros alone stand for."
    )
    nonfinite: Literal["refuse", "missing"] = Field(
        default="refuse", description="What is done about NaN and infinities in imported vectors."
    )
    trained_on: dict[Modality, TrainedOn] = Field(
        default_factory=dict,
        description="Whose labels the encoder of an imported modality has seen, where nothing is "
        "known of the file.",
    )

    @field_validator("modalities")
    @classmethod
    def _canonical(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        return canonical(value)

    @field_validator("imported")
    @classmethod
    def _below_the_raw_folder(cls, value: dict[Modality, str]) -> dict[Modality, str]:
        for file in value.values():
            below(file)
        return value

    @model_validator(mode="after")
    def _are_extracted(self) -> "ExtractSettings":
        if other := sorted(set(self.imported) - set(self.modalities)):
            raise ValueError(f"imported names {other}, which modalities does not")
        if other := sorted(set(self.trained_on) - set(self.imported)):
            raise ValueError(f"trained_on names {other}, which imported does not")
        return self

    def computed(self, modality: Modality) -> bool:
        """Whether the vectors of a modality are computed here."""
        return modality in self.modalities and modality not in self.imported
