"""Texts to one vector each."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.text import extract as text
from pipeline.records.features import write_features


def work(params: Params, corpus: str) -> None:
    """Writes the text store; an empty one where text is not extracted."""
    where = places(corpus)
    if "text" in params.of(ExtractSettings, corpus).modalities:
        text.extract(params, corpus, where)
    else:
        write_features(where.stores["text"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
