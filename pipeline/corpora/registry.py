"""The corpus readers by name: a new corpus is a new module and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel

from pipeline.corpora import cremad, iemocap, meld
from pipeline.corpora.published import Published
from pipeline.corpora.tree import RawCorpus, ReaderOptions


@dataclass(frozen=True)
class Reader:
    """How one corpus' raw tree is read.

    Attributes:
        options: The reader's settings class, the block `corpus.NAME` of params.yaml.
        read: Raw tree and options to raw facts; opens no media.
        published: What a whole release holds.
    """

    options: type[ReaderOptions]
    read: Callable[[Path, Any], RawCorpus]
    published: Published


READERS = {
    "cremad": Reader(cremad.CremadOptions, cremad.read, cremad.PUBLISHED),
    "iemocap": Reader(iemocap.IemocapOptions, iemocap.read, iemocap.PUBLISHED),
    "meld": Reader(meld.MeldOptions, meld.read, meld.PUBLISHED),
}


def _parse(raw: Any) -> ReaderOptions:
    """The options of the reader that `raw` names; each reader owns its options class."""
    if isinstance(raw, ReaderOptions):
        return raw
    name = raw.get("reader") if isinstance(raw, dict) else raw
    if name not in READERS:
        raise ValueError(f"reader: got {name!r}, expected one of {sorted(READERS)}")
    return READERS[name].options.model_validate(raw)


class CorpusSettings(RootModel[Annotated[ReaderOptions, BeforeValidator(_parse)]]):
    """The options of one corpus' reader, as `.root`."""

    root: Annotated[ReaderOptions, BeforeValidator(_parse)] = Field(
        description="The reader's options."
    )
