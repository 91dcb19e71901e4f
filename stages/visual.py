"""Pictures to one vector per frame."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.visual import extract as visual
from pipeline.records.features import write_features


def work(params: Params, corpus: str) -> None:
    """Writes the visual store; an empty one where visual is not extracted."""
    where, settings = places(corpus), params.of(ExtractSettings, corpus)
    if settings.computed("visual"):
        visual.extract(params, corpus, where)
    elif "visual" in settings.imported:
        # Here, so that other corpora do not wait for what reads files of others.
        from pipeline.features.imported import import_features

        import_features(params, corpus, where, "visual")
    else:
        write_features(where.stores["visual"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
