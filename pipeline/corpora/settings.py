"""`protocol`: what counts as a label and who is trained, validated and tested on."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.base.settings import Section
from pipeline.corpora.published import Groups
from pipeline.corpora.reader import Reader
from pipeline.corpora.registry import KNOWN

BY_SESSION = ("session5", "leave_one_session_out")
BY_SPEAKER = ("speakers", "leave_one_speaker_out")
RULES = ("last_20", "fraction")


def _known(setting: str, *readers: Reader) -> list[str]:
    """The names that a setting may have for any of the readers, sorted."""
    known = {
        "label_set": [name for reader in readers for name in reader.label_sets],
        "label_policy": [name for reader in readers for name in reader.label_policies],
        "validation": [*RULES, *(name for reader in readers for name in reader.validation)],
    }
    return sorted(set(known[setting]))


class ProtocolSettings(Section):
    """Labels and splits; of the feature stages only a fine-tuned text encoder depends on them."""

    label_set: str | dict[str, list[str]] = Field(
        description="A label set of the corpus' reader, or the codes of each class."
    )
    label_column: Literal["emotion", "sentiment"] = Field(
        default="emotion", description="Whose codes those of each class are; of no named label set."
    )
    label_policy: str = Field(
        description="consensus: the authors' label; or another policy of the corpus' reader."
    )
    unlabelled: Literal["drop", "context"] = Field(
        description="Utterances without a label in the set: leave them out, "
        "or keep them as context that gets no loss and no score."
    )
    splits: Literal[
        "official", "session5", "leave_one_session_out", "speakers", "leave_one_speaker_out"
    ] = Field(
        description="official: as the corpus' authors split it; session5: session 5 is tested on; "
        "leave_one_session_out: a fold for each session; speakers: no speaker in two splits; "
        "leave_one_speaker_out: a fold for each speaker, and no speaker in two splits."
    )
    validation: str | None = Field(
        default=None,
        description="Where sessions are split: last_20 of the dialogues that are not tested on, a "
        "fraction of each session's, or dialogues that the corpus' reader names.",
    )
    valid_fraction: float | None = Field(default=None, gt=0, lt=1)
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    seed: int = Field(default=1, ge=0, description="Draws fractions and the order of a control.")
    control: Literal["none", "within_dialogues", "across_dialogues"] = Field(
        description="A negative control: turns of a dialogue exchange their labels, which leaves "
        "its mix of emotions to learn, or turns of a split take those of another dialogue, which "
        "leaves nothing."
    )

    @field_validator("label_set", "label_policy", "validation")
    @classmethod
    def _known_to_a_reader(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, dict):
            codes = [code for folded_in in value.values() for code in folded_in]
            if len(value) < 2 or not all(value.values()) or len(set(codes)) < len(codes):
                raise ValueError("expected two classes or more, with codes that occur once")
        elif value is not None:
            known = _known(str(info.field_name), *KNOWN.values())
            if value not in known:
                or_codes = ", or a list of codes by class" if info.field_name == "label_set" else ""
                raise ValueError(f"expected one of {known}{or_codes}")
        return value

    @model_validator(mode="after")
    def _what_splits_need(self) -> "ProtocolSettings":
        by_session = self.splits in BY_SESSION
        fraction = self.splits in BY_SPEAKER or self.validation == "fraction"
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
        if self.splits == "leave_one_session_out" and self.validation not in RULES:
            raise ValueError(
                f"validation {self.validation!r} names dialogues, and here each is tested on once: "
                f"expected one of {sorted(RULES)}"
            )
        return self

    @property
    def leaves_one_out(self) -> bool:
        """Whether there is a fold for each session or speaker, so that each is tested on."""
        return self.splits in ("leave_one_session_out", "leave_one_speaker_out")

    def published(self, reader: Reader) -> Groups:
        """The published class counts by group of splits; empty where none fit these settings."""
        chosen = (self.label_set, self.label_policy, self.splits)
        return {
            splits: counts
            for known in reader.published_splits
            if (known.label_set, known.label_policy, known.splits) == chosen
            and known.validation in (None, self.validation)
            for splits, counts in known.counts.items()
        }

    def unknown_to(self, reader: Reader) -> Iterator[str]:
        """Names each setting whose value belongs to another corpus' reader.

        A reader without label sets is none's: that is told once its codes have been read.
        """
        for setting in ("label_set", "label_policy", "validation"):
            value, known = getattr(self, setting), _known(setting, reader)
            if isinstance(value, str) and known and value not in known:
                yield f"{setting}: got {value!r}, expected one of {known}, those of {reader.title}"
