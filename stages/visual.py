"""Pictures to one vector per frame."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.visual import extract as visual
from pipeline.records.features import write_features


def work(params: Params, corpus: str) -> None:
    """Writes the visual store; an empty one where visual is not extracted."""
    where = places(corpus)
    if "visual" in params.of(ExtractSettings, corpus).modalities:
        visual.extract(params, corpus, where)
    else:
        write_features(where.stores["visual"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
