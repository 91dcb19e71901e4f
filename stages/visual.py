"""Pictures to one vector per frame."""

from pipeline.features import write_features
from pipeline.params import Params
from pipeline.places import places
from pipeline.settings.extract import ExtractSettings
from pipeline.stage import run
from pipeline.steps import visual


def work(params: Params, corpus: str) -> None:
    """Writes the visual store; an empty one where visual is not extracted."""
    where = places(corpus)
    if "visual" in params.of(ExtractSettings, corpus).modalities:
        visual.extract(params, corpus, where)
    else:
        write_features(where.stores["visual"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
