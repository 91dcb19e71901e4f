"""`protocol`: what counts as a label and who is trained, validated and tested on."""

from typing import Literal

from pydantic import Field, field_validator

from pipeline.labels import LABEL_SETS
from pipeline.settings.base import Section


class ProtocolSettings(Section):
    """Label set and splits; no feature stage depends on them."""

    label_set: str = Field(description="A label set of pipeline/labels.py.")
    unlabelled: Literal["drop", "context"] = Field(
        description="Utterances without a label in the set: leave them out, "
        "or keep them as context that gets no loss and no score."
    )
    splits: Literal["official"] = Field(description="official: as the corpus' authors split it.")

    @field_validator("label_set")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in LABEL_SETS:
            raise ValueError(f"expected one of {sorted(LABEL_SETS)}")
        return value
