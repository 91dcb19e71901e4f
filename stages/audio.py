"""Raw sound to one vector per utterance: by openSMILE or by a speech encoder."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.audio import extract as audio
from pipeline.features.common.settings import ExtractSettings
from pipeline.records.features import write_features
from pipeline.records.ledger import write_ledger


def work(params: Params, corpus: str) -> None:
    """Writes the audio store and its ledger; both empty where audio is not extracted."""
    where = places(corpus)
    if "audio" in params.of(ExtractSettings, corpus).modalities:
        audio.extract(params, corpus, where).check(corpus)
    else:
        write_features(where.stores["audio"], [], {"extractor": None})
        write_ledger(where.ledgers["audio"], [])


if __name__ == "__main__":
    run(work)
