"""`text`: the encoder of what is said."""

from typing import Literal

from pydantic import Field

from pipeline.settings.base import Section


class TextSettings(Section):
    """The text encoder and how its token vectors become one vector."""

    encoder: str = Field(description="A `text` entry of pipeline/weights/lock.yaml.")
    pooling: Literal["cls", "mean", "last4_mean"] = Field(
        description="cls: first token of the last layer; mean: all its tokens; "
        "last4_mean: tokens averaged over the last four layers."
    )
    max_tokens: int = Field(ge=8, le=512, description="Longer utterances are cut at the end.")
    batch_size: int = Field(ge=1, le=1024, description="Texts per forward pass, always filled up.")
