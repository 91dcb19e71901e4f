"""The corpus readers by name: a new corpus is a new module and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.corpora import cremad, iemocap, meld
from pipeline.corpora.options import ReaderOptions
from pipeline.corpora.tree import RawCorpus
from pipeline.published import Published


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
