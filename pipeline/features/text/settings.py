"""`text`: the encoder of what is said, and what it reads of a dialogue."""

from typing import Literal

from pydantic import Field

from pipeline.base.settings import Section


class TextSettings(Section):
    """The text encoder and how its token vectors become one vector."""

    encoder: str = Field(
        description="A `text` entry of pipeline/weights/lock.yaml, OWNER/NAME@COMMIT of "
        "huggingface.co, or a folder."
    )
    pooling: Literal["cls", "mean", "last4_mean"] = Field(
        description="cls: first token of the last layer; mean: all its tokens; "
        "last4_mean: tokens averaged over the last four layers. With context, tokens of the "
        "turn itself alone."
    )
    context_turns: int = Field(ge=0, le=100, description="Turns of the dialogue put before each.")
    context_turns_after: int = Field(ge=0, le=100, description="And put after each.")
    speaker_marks: Literal["none", "names", "letters"] = Field(
        description="What stands before each turn. names: its speaker's; letters: A for the "
        "speaker of the turn that is read, B, C, ... for the others."
    )
    max_tokens: int = Field(
        ge=8, le=512, description="More are cut: what is furthest, then the turn's own last."
    )
    tokens_per_batch: int = Field(
        ge=1, le=1 << 20, description="Padded tokens per forward pass, at least one text."
    )
