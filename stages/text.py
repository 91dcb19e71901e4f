"""Texts to one vector each."""

from pipeline.features import write_features
from pipeline.params import Params
from pipeline.places import places
from pipeline.settings.extract import ExtractSettings
from pipeline.stage import run
from pipeline.steps import text


def work(params: Params, corpus: str) -> None:
    """Writes the text store; an empty one where text is not extracted."""
    where = places(corpus)
    if "text" in params.of(ExtractSettings, corpus).modalities:
        text.extract(params, corpus, where)
    else:
        write_features(where.stores["text"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
