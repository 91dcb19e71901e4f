"""`protocol`: what counts as a label and who is trained, validated and tested on."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.base.settings import Section
from pipeline.corpora.labels import LABEL_POLICIES, LABEL_SETS, LabelSet, folded

BY_SESSION = ("session5", "leave_one_session_out")


class ProtocolSettings(Section):
    """Labels and splits; of the feature stages only a fine-tuned text encoder depends on them."""

    label_set: str | dict[str, list[str]] = Field(
        description="A label set of pipeline/corpora/labels.py, or the emotion codes of each class."
    )
    label_policy: str = Field(
        description="consensus: the authors' label; erc7433: with IEMOCAP's 53 more happy ones."
    )
    unlabelled: Literal["drop", "context"] = Field(
        description="Utterances without a label in the set: leave them out, "
        "or keep them as context that gets no loss and no score."
    )
    splits: Literal["official", "session5", "leave_one_session_out", "speakers"] = Field(
        description="official: as the corpus' authors split it; session5: IEMOCAP's usual test; "
        "leave_one_session_out: a fold for each session; speakers: no speaker in two splits."
    )
    validation: Literal["cosmic", "last_20", "fraction"] | None = Field(
        default=None,
        description="Where sessions are split: COSMIC's 12 dialogues, the last 20 of those that "
        "are not tested on, or a fraction of each session's.",
    )
    valid_fraction: float | None = Field(default=None, gt=0, lt=1)
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    seed: int = Field(default=1, ge=0, description="Draws fractions; needed by nothing else.")

    @property
    def labels(self) -> LabelSet:
        """The label set that is meant."""
        if isinstance(self.label_set, str):
            return LABEL_SETS[self.label_set]
        return folded("emotion", self.label_set)

    @field_validator("label_set")
    @classmethod
    def _known_set(cls, value: str | dict[str, list[str]]) -> str | dict[str, list[str]]:
        if isinstance(value, str) and value not in LABEL_SETS:
            raise ValueError(f"expected one of {sorted(LABEL_SETS)}, or a list of codes by class")
        if isinstance(value, dict):
            codes = [code for folded_in in value.values() for code in folded_in]
            if len(value) < 2 or not all(value.values()) or len(set(codes)) < len(codes):
                raise ValueError("expected two classes or more, with codes that occur once")
        return value

    @field_validator("label_policy")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        if value not in LABEL_POLICIES:
            raise ValueError(f"expected one of {sorted(LABEL_POLICIES)}")
        return value

    @model_validator(mode="after")
    def _what_splits_need(self) -> "ProtocolSettings":
        by_session = self.splits in BY_SESSION
        fraction = self.splits == "speakers" or self.validation == "fraction"
        needed = {
            "validation": by_session,
            "valid_fraction": fraction,
            "test_fraction": self.splits == "speakers",
        }
        for name, is_needed in needed.items():
            chosen = f"splits {self.splits!r} and validation {self.validation!r}"
            if is_needed and getattr(self, name) is None:
                raise ValueError(f"{chosen} need {name}")
            if not is_needed and getattr(self, name) is not None:
                raise ValueError(f"{chosen} do not use {name}: set it to null")
        if self.splits == "leave_one_session_out" and self.validation == "cosmic":
            raise ValueError("validation 'cosmic' names dialogues of the sessions 1 to 4 alone")
        return self
