"""`faces`: the face detector, whose face is taken, and what is cut out round it."""

from typing import Literal

from pydantic import Field

from pipeline.settings.base import Section


class FacesSettings(Section):
    """The detector; read by the `frames` stage where `frames.CORPUS.crop` is `face`."""

    encoder: str = Field(description="A `faces` entry of pipeline/weights/lock.yaml.")
    score_threshold: float = Field(gt=0, lt=1, description="Least score of a face.")
    margin: float = Field(ge=0, le=2, description="Added round the face box, as a share of it.")
    speaker: Literal["mouth", "largest"] = Field(
        description="Of several faces; mouth: the one whose mouth moves with the voice's energy, "
        "where that is undecided the largest; largest: the one with the largest area over time."
    )
