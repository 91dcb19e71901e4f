"""`corpus`: which reader reads a raw tree, and that reader's own options."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel

from pipeline.corpora.options import ReaderOptions
from pipeline.corpora.registry import READERS


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
