"""`faces`: the face detector and what is cut out round a face."""

from pydantic import Field

from pipeline.settings.base import Section


class FacesSettings(Section):
    """The detector; read by the `frames` stage where `frames.CORPUS.crop` is `face`."""

    encoder: str = Field(description="A `faces` entry of pipeline/weights/lock.yaml.")
    score_threshold: float = Field(gt=0, lt=1, description="Least score of a face.")
    margin: float = Field(ge=0, le=2, description="Added round the face box, as a share of it.")
