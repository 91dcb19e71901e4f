"""What the file of a corpus provides: its reader, its labels, and what is published of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.base.settings import Modality, Section
from pipeline.corpora.labels import CONSENSUS, LabelPolicy, LabelSet, folded
from pipeline.corpora.published import Counts, Published, PublishedSplits
from pipeline.records.manifest import Utterance


class ReaderOptions(Section):
    """What the block `CORPUS.corpus` of params.yaml holds for every reader."""

    reader: str = Field(description="A name of pipeline/corpora/registry.py.")
    full: bool = Field(
        description="Whether the folder is meant to hold the whole release, so that its counts "
        "are compared with the published ones."
    )
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

    def notes_on(self, modalities: Collection[Modality]) -> list[str]:
        """The notes that concern any of these modalities."""
        return [text for text, of in self.notes.items() if set(of) & set(modalities)]


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

    def label_set(self, chosen: str | Mapping[str, list[str]]) -> LabelSet:
        """Looks up a label set by name, or makes one from the emotion codes of each class."""
        return self.label_sets[chosen] if isinstance(chosen, str) else folded("emotion", chosen)
