"""What a corpus reader hands over: raw facts, and what it left aside while reading."""

from dataclasses import dataclass, field

from pipeline.manifest import Utterance


@dataclass(frozen=True)
class RawCorpus:
    """A raw tree as read, before any media file has been opened.

    Attributes:
        utterances: In dialogue order; media segments have no digest and no end yet.
        left_aside: How many things of which kind the reader skipped, for the stage's summary.
    """

    utterances: list[Utterance]
    left_aside: dict[str, int] = field(default_factory=dict)
