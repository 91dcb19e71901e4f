"""Texts to one vector each."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.text import extract as text
from pipeline.records.features import write_features


def work(params: Params, corpus: str) -> None:
    """Writes the text store; an empty one where text is not extracted."""
    where, settings = places(corpus), params.of(ExtractSettings, corpus)
    if settings.computed("text"):
        text.extract(params, corpus, where)
    elif "text" in settings.imported:
        # Here, so that other corpora do not wait for what reads files of others.
        from pipeline.features.imported import import_features

        import_features(params, corpus, where, "text")
    else:
        write_features(where.stores["text"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
