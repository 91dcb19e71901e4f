"""A corpus of which only published features are there: the manifest comes from their file."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from pipeline.base.display import short_name
from pipeline.base.errors import PipelineError
from pipeline.base.folders import names_in
from pipeline.base.settings import below
from pipeline.corpora.published import Published
from pipeline.corpora.reader import RawCorpus, Reader, ReaderOptions
from pipeline.corpora.tree import spelled
from pipeline.feature_files.contents import Contents, Turn
from pipeline.feature_files.read import read as contents_of
from pipeline.records.manifest import Utterance

SHOWN = 12


class FeaturesOptions(ReaderOptions):
    """The block `CORPUS.corpus` of a corpus of feature files."""

    reader: Literal["features"]
    of: str = Field(description="Whose utterances these are: meld, iemocap, ..., or other.")
    file: str = Field(
        description="The file or folder below the raw folder that names the utterances. Vectors "
        "come from the files of CORPUS.extract.imported."
    )
    classes: tuple[str, ...] | None = Field(
        default=None,
        description="What the label integers of the file mean, in their order; null: recognised.",
    )

    @field_validator("file")
    @classmethod
    def _below_the_raw_folder(cls, value: str) -> str:
        return below(value)


def read(root: Path, options: FeaturesOptions) -> RawCorpus:
    """Read the utterances that a feature file names; refuse one that lacks labels or speakers."""
    path = root / spelled(root, options.file)
    if not path.exists():
        there = [short_name(name) for name in names_in(root)[:SHOWN]] if root.is_dir() else []
        raise PipelineError(
            f"{path} is not there; {root} holds {there or 'nothing'}. Name the file in "
            "CORPUS.corpus.file; `python -m pipeline inspect FILE` says what one holds."
        )
    contents = contents_of(path, options.classes)
    if contents.corpus != options.of:
        raise PipelineError(
            f"{path} holds utterances of {contents.corpus!r} by the layout {contents.layout!r}, "
            f"and CORPUS.corpus.of is {options.of!r}: set it to {contents.corpus}."
        )
    _check(path, contents)
    return RawCorpus(
        list(utterances_of(contents)),
        notes=dict.fromkeys(contents.remarks, ("text", "audio", "visual")),
        label_policy=contents.label_policy,
        label_sets=contents.label_sets,
    )


def _check(path: Path, contents: Contents) -> None:
    if what := lacking(contents):
        raise PipelineError(
            f"{path} has no {' and no '.join(what)}, so no manifest can be made of it. Name a "
            "file that has them in CORPUS.corpus.file (tuples of IEMOCAP_features.pkl's kind do), "
            "or use the reader of the official annotations and leave this file to "
            "CORPUS.extract.imported."
        )


def lacking(contents: Contents) -> list[str]:
    """What a manifest needs and the file does not have, in words."""
    turns = contents.turns
    return [
        *(["speakers"] if any(turn.speaker is None for turn in turns) else []),
        *(["labels"] if not any(map(_labelled, turns)) else []),
    ]


def _labelled(turn: Turn) -> bool:
    return (turn.emotion, turn.sentiment, turn.valence) != (None, None, None)


def utterances_of(contents: Contents) -> Iterator[Utterance]:
    """The rows of a manifest; turns without an id are named by their place in the dialogue."""
    for dialogue, turns in groupby(contents.turns, key=lambda turn: turn.dialogue):
        for number, turn in enumerate(turns):
            yield Utterance(
                utterance=turn.utterance or f"{dialogue}#{number}",
                dialogue=dialogue,
                turn=number,
                speaker=turn.speaker or "",
                text=turn.text or "",
                video=None,
                audio=None,
                emotion=turn.emotion,
                sentiment=turn.sentiment,
                valence=turn.valence,
                official_split=turn.split,
                session=turn.session,
            )


# Labels and published counts are those of the corpus that `of` names.
READER = Reader(
    title="feature files",
    options=FeaturesOptions,
    read=read,
    label_sets={},
    published=Published("session", {}),
)
