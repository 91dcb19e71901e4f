"""`frames` and `faces`: which pictures of an utterance the visual encoder sees."""

from typing import Literal

from pydantic import Field

from pipeline.base.settings import Section


class FramesSettings(Section):
    """Sampling, what is cut out, and the encoding of the frame store."""

    count: int = Field(ge=1, le=500, description="Evenly spaced frames per utterance.")
    crop: Literal["face", "region", "frame"] = Field(
        description="face: the speaker's face where one is found, else the region; "
        "region: the speaker's part of the picture as the manifest gives it; "
        "frame: the whole picture. All but the face are shown whole, with black beside them."
    )
    format: Literal["jpeg", "png"] = Field(description="How frames are stored.")
    quality: int = Field(ge=1, le=100, description="JPEG quality; PNG ignores it.")
    max_megapixels: int = Field(ge=1, le=256, description="A video with larger pictures is masked.")


class FacesSettings(Section):
    """The detector; read by the `frames` stage where `CORPUS.frames.crop` is `face`."""

    encoder: str = Field(description="A `faces` entry of pipeline/weights/lock.yaml.")
    score_threshold: float = Field(gt=0, lt=1, description="Least score of a face.")
    margin: float = Field(ge=0, le=2, description="Added round the face box, as a share of it.")
    speaker: Literal["mouth", "largest"] = Field(
        description="Of several faces; mouth: the one whose mouth moves with the voice's energy, "
        "where that is undecided, or with largest always: the one that is large, surely a face "
        "and seen for long."
    )
