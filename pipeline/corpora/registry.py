"""The corpus readers by name: a new corpus is a new module and one line here."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel

from pipeline.corpora import cremad, iemocap, meld
from pipeline.corpora.reader import Reader, ReaderOptions

READERS: dict[str, Reader] = {
    "cremad": cremad.READER,
    "iemocap": iemocap.READER,
    "meld": meld.READER,
}


def _parse(raw: Any) -> ReaderOptions:
    """Validates options by the class of the reader that they name."""
    if isinstance(raw, ReaderOptions):
        return raw
    name = raw.get("reader") if isinstance(raw, dict) else raw
    if name not in READERS:
        raise ValueError(f"reader: got {name!r}, expected one of {sorted(READERS)}")
    return READERS[name].options.model_validate(raw)


class CorpusSettings(RootModel[ReaderOptions]):
    """The block `CORPUS.corpus`: the options of its reader, as `.root`."""

    root: Annotated[ReaderOptions, BeforeValidator(_parse)] = Field(
        description="The reader's options."
    )

    @property
    def reader(self) -> Reader:
        """The reader that the options name."""
        return READERS[self.root.reader]
