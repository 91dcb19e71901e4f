"""The corpus readers by name: a new corpus is a new module and one line here."""

from collections import ChainMap
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel

from pipeline.corpora import clips, cremad, emodb, emorynlp, feature_file, iemocap, meld, ravdess
from pipeline.corpora.feature_file import FeaturesOptions
from pipeline.corpora.of_features import FROM_FILES
from pipeline.corpora.reader import Reader, ReaderOptions

READERS: dict[str, Reader] = {
    "clips": clips.READER,
    "cremad": cremad.READER,
    "emodb": emodb.READER,
    "emorynlp": emorynlp.READER,
    "features": feature_file.READER,
    "iemocap": iemocap.READER,
    "meld": meld.READER,
    "meld_dyadic": meld.DYADIC_READER,
    "ravdess": ravdess.READER,
}
# Corpora by name, also those of which there are but feature files.
KNOWN = ChainMap(READERS, dict(FROM_FILES))


def _parse(raw: Any) -> ReaderOptions:
    """Validates options by the class of the reader that they name."""
    if isinstance(raw, ReaderOptions):
        return raw
    name = raw.get("reader") if isinstance(raw, dict) else raw
    if name not in READERS:
        raise ValueError(f"reader: got {name!r}, expected one of {sorted(READERS)}")
    options = READERS[name].options.model_validate(raw)
    if isinstance(options, FeaturesOptions):
        known = sorted(set(KNOWN) - {options.reader})
        if options.of not in known:
            raise ValueError(f"of: got {options.of!r}, expected one of {known}")
    return options


class CorpusSettings(RootModel[ReaderOptions]):
    """The block `CORPUS.corpus`: the options of its reader, as `.root`."""

    root: Annotated[ReaderOptions, BeforeValidator(_parse)] = Field(
        description="The reader's options."
    )

    @property
    def reader(self) -> Reader:
        """The reader that the options name, with the labels of the corpus that it reads."""
        reader = READERS[self.root.reader]
        if isinstance(self.root, FeaturesOptions):
            return replace(KNOWN[self.root.of], options=reader.options, read=reader.read)
        return reader

    @property
    def of(self) -> str:
        """Whose utterances the reader gives: a name of `KNOWN`."""
        return self.root.of if isinstance(self.root, FeaturesOptions) else self.root.reader
