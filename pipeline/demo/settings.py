"""`demo`: the size of a demo corpus, its pictures, and how much each modality gives away."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.base.settings import Section

PARTS = {
    "meld": ("train", "dev", "test"),
    "iemocap": ("Session1", "Session2", "Session3", "Session4", "Session5"),
}
# IEMOCAP names 28 dialogues a session; MELD numbers its dialogues.
MOST_DIALOGUES = {"meld": None, "iemocap": 28}
Probability = Annotated[float, Field(ge=0, le=1)]
Turns = Annotated[int, Field(ge=5, le=40)]
Seconds = Annotated[float, Field(ge=0.5, le=30)]


class DemoSettings(Section):
    """The same settings give the same bytes; of these, `workers` alone does not affect them."""

    seed: int = Field(default=31, ge=0, description="Seed of every random draw.")
    workers: int = Field(default=2, ge=1, le=256, description="Processes that render media.")

    layout: Literal["meld", "iemocap"] = Field(description="Corpus whose layout is imitated.")
    dialogues: dict[str, int] = Field(description="By part: train, dev and test, or Session1 to 5.")
    min_turns: Turns = Field(default=5, description="Fewest turns of a dialogue.")
    max_turns: Turns = Field(default=11, description="Most turns of a dialogue.")
    min_per_class: int = Field(default=4, ge=0, description="Of each common emotion in a part.")

    width: int = Field(default=320, ge=256, le=1920, multiple_of=2, description="In pixels.")
    height: int = Field(default=240, ge=192, le=1080, multiple_of=2, description="In pixels.")
    fps: int = Field(default=25, ge=5, le=60, description="Frames per second.")
    min_seconds: Seconds = Field(default=1.0, description="Shortest utterance.")
    max_seconds: Seconds = Field(default=1.8, description="Longest utterance.")

    linger: Probability = Field(default=0.4, description="A speaker keeps the last emotion.")
    contagion: Probability = Field(default=0.2, description="A speaker takes over the other's.")
    poker_face: Probability = Field(default=0.2, description="The face shows hardly anything.")
    flat_voice: Probability = Field(default=0.2, description="The voice shows hardly anything.")
    empty_text: Probability = Field(default=0.15, description="The words are neutral (“Yeah.”).")
    misleading: Probability = Field(default=0.06, description="A modality shows a wrong emotion.")

    @model_validator(mode="after")
    def _every_part_has_dialogues(self) -> Self:
        parts, most = PARTS[self.layout], MOST_DIALOGUES[self.layout]
        counts = self.dialogues.values()
        if set(self.dialogues) != set(parts) or min(counts) < 1 or (most and max(counts) > most):
            limit = f"at least 1 and at most {most}" if most else "at least 1"
            raise ValueError(
                f"dialogues {self.dialogues} do not fit the layout {self.layout}; expected a "
                f"number of dialogues, {limit}, for each of {', '.join(parts)}"
            )
        return self

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> Self:
        for low, high in (("min_turns", "max_turns"), ("min_seconds", "max_seconds")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} exceeds {high} {getattr(self, high)}")
        pairs = [("linger", "contagion")]
        pairs += [(weak, "misleading") for weak in ("poker_face", "flat_voice", "empty_text")]
        for first, second in pairs:
            if getattr(self, first) + getattr(self, second) > 1:
                raise ValueError(
                    f"{first} {getattr(self, first)} + {second} {getattr(self, second)} exceeds 1; "
                    "lower one of them"
                )
        return self
