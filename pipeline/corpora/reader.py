"""What the file of a corpus provides: its reader, its labels, and what is published of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Modality, Section
from pipeline.corpora.labels import CONSENSUS, LabelPolicy, LabelSet, folded
from pipeline.corpora.published import Counts, Published, PublishedSplits
from pipeline.records.manifest import Segment, Utterance


class ReaderOptions(Section):
    """What the block `CORPUS.corpus` of params.yaml holds for every reader."""

    reader: str = Field(description="A name of pipeline/corpora/registry.py.")
    full: bool = Field(
        description="Whether the folder is meant to hold the whole release, so that its counts "
        "are compared with the published ones."
    )


class MediaOptions(ReaderOptions):
    """What it holds for every reader of clips."""

    max_seconds: float = Field(gt=0, description="Longer segments are cut here, and noted.")


@dataclass(frozen=True)
class RawCorpus:
    """A raw tree as read, before any media file has been opened.

    Utterances are in dialogue order; a segment has no digest yet, and no end where it lasts to the
    end of its file. Skipped things are counted by kind. Notes tell a user of the tree as a whole,
    with the modalities concerned.
    """

    utterances: list[Utterance]
    left_aside: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, tuple[Modality, ...]] = field(default_factory=dict)
    label_policy: str | None = None
    """Which one its emotions follow already; None: they are the raw codes of the annotations."""
    label_sets: tuple[str, ...] | None = None
    """Those whose classes its emotions tell apart; None: all of the corpus."""

    def notes_on(self, modalities: Collection[Modality]) -> list[str]:
        """The notes that concern any of these modalities."""
        return [text for text, of in self.notes.items() if set(of) & set(modalities)]


def alone(
    clip: str, speaker: str, text: str, emotion: str, video: str | None, audio: str | None
) -> Utterance:
    """An utterance that is a dialogue of its own, in whole files; None where there is no such."""
    return Utterance(
        utterance=clip,
        dialogue=clip,
        turn=0,
        speaker=speaker,
        text=text,
        video=None if video is None else Segment(video),
        audio=None if audio is None else Segment(audio),
        emotion=emotion,
    )


@dataclass(frozen=True)
class Reader:
    """All that is known of a corpus; label sets, policies and validation dialogues by name."""

    title: str  # as people write it
    options: type[ReaderOptions]
    read: Callable[[Path, Any], RawCorpus]  # opens no media
    label_sets: Mapping[str, LabelSet]
    published: Published
    published_splits: tuple[PublishedSplits, ...] = ()
    # By class in the test split that the field compares on; empty where there is none.
    test_support: Counts = field(default_factory=dict)
    label_policies: Mapping[str, LabelPolicy] = field(
        default_factory=lambda: {"consensus": CONSENSUS}
    )
    validation: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    marks: str | None = None  # pattern of a name by which a misplaced tree of it is recognised

    def label_set(self, chosen: str | Mapping[str, list[str]], column: str = "emotion") -> LabelSet:
        """Looks up a label set by name, or makes one from the codes of each class in a column.

        Raises:
            PipelineError: There is none of this name.
        """
        if not isinstance(chosen, str):
            return folded(column, chosen)
        if chosen not in self.label_sets:
            raise PipelineError(
                f"CORPUS.protocol.label_set: got {chosen!r}, expected codes by class, such as "
                f"{{happy: [hap, exc], sad: [sad]}}, as {self.title} has no label sets. "
                "`python -m pipeline doctor CORPUS` proposes one from the codes that are there."
            )
        return self.label_sets[chosen]
