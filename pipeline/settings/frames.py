"""`frames`: which pictures of an utterance the network gets to see."""

from typing import Literal

from pydantic import Field

from pipeline.settings.base import Section


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
