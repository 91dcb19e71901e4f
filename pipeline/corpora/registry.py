"""The corpus readers by name: a new corpus is a new module and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.corpora import meld
from pipeline.corpora.tree import RawCorpus
from pipeline.settings.base import Section


@dataclass(frozen=True)
class Reader:
    """How one corpus' raw tree is read.

    Attributes:
        options: The reader's settings class, the block `corpus.NAME` of params.yaml.
        read: Raw tree and options to raw facts; opens no media.
    """

    options: type[Section]
    read: Callable[[Path, Any], RawCorpus]


READERS = {
    "meld": Reader(meld.MeldOptions, meld.read),
}
