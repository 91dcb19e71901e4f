"""What the demo corpus is made of: its size, its pictures, and how much each modality tells."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PARTS = {
    "meld": ("train", "dev", "test"),
    "iemocap": ("Session1", "Session2", "Session3", "Session4", "Session5"),
}
# An IEMOCAP session has no more names of dialogues; MELD numbers its dialogues.
MOST_DIALOGUES = {"meld": None, "iemocap": 28}


class DemoSettings(BaseModel):
    """Settings of the demo corpus; the same settings give the same bytes.

    Only `workers` does not enter the bytes. Sizes are in utterances, dialogues, pixels and
    seconds; everything called a probability lies in 0–1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=31, ge=0, description="Seed of every random draw.")
    workers: int = Field(default=2, ge=1, le=256, description="Processes that render clips.")

    layout: Literal["meld", "iemocap"] = Field(description="Whose tree is written.")
    dialogues: dict[str, int] = Field(
        description="Dialogues by part: train, dev and test, or Session1 to Session5."
    )
    min_turns: int = Field(default=5, ge=5, le=40, description="Fewest turns of a dialogue.")
    max_turns: int = Field(default=11, ge=5, le=40, description="Most turns of a dialogue.")
    min_per_class: int = Field(
        default=4, ge=0, description="Fewest utterances of each common emotion in each part."
    )

    width: int = Field(default=320, ge=256, le=1920, multiple_of=2, description="Frame, pixels.")
    height: int = Field(default=240, ge=192, le=1080, multiple_of=2, description="Frame, pixels.")
    fps: int = Field(default=25, ge=5, le=60, description="Frames per second.")
    min_seconds: float = Field(default=1.0, ge=0.5, le=30, description="Shortest clip, seconds.")
    max_seconds: float = Field(default=1.8, ge=0.5, le=30, description="Longest clip, seconds.")

    linger: float = Field(
        default=0.4, ge=0, le=1, description="Probability that a speaker keeps the last emotion."
    )
    contagion: float = Field(
        default=0.2, ge=0, le=1, description="Probability of taking the previous turn's emotion."
    )
    poker_face: float = Field(
        default=0.2, ge=0, le=1, description="Probability of a face that hardly shows anything."
    )
    flat_voice: float = Field(
        default=0.2, ge=0, le=1, description="Probability of a voice that hardly shows anything."
    )
    empty_text: float = Field(
        default=0.15, ge=0, le=1, description="Probability of words that say nothing (“Yeah.”)."
    )
    misleading: float = Field(
        default=0.06,
        ge=0,
        le=1,
        description="Probability, per modality, of showing another emotion than the true one.",
    )

    @model_validator(mode="after")
    def _every_part_has_dialogues(self) -> Self:
        parts, most = PARTS[self.layout], MOST_DIALOGUES[self.layout]
        counts = self.dialogues.values()
        if set(self.dialogues) != set(parts) or min(counts) < 1 or (most and max(counts) > most):
            limit = f"{most} at most" if most else "without a limit"
            raise ValueError(
                f"dialogues {self.dialogues} do not fit the layout {self.layout}; expected a "
                f"number of dialogues, at least 1 and {limit}, for each of {', '.join(parts)}"
            )
        return self

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> Self:
        if self.min_turns > self.max_turns:
            raise ValueError(f"min_turns {self.min_turns} exceeds max_turns {self.max_turns}")
        if self.min_seconds > self.max_seconds:
            raise ValueError(
                f"min_seconds {self.min_seconds} exceeds max_seconds {self.max_seconds}"
            )
        if self.linger + self.contagion > 1:
            raise ValueError(
                f"linger {self.linger} + contagion {self.contagion} exceeds 1; lower one of them"
            )
        for name in ("poker_face", "flat_voice", "empty_text"):
            if getattr(self, name) + self.misleading > 1:
                raise ValueError(f"{name} + misleading exceeds 1; lower one of them")
        return self
