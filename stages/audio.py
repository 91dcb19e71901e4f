"""Raw sound to one vector per utterance: by openSMILE or by a speech encoder."""

from pipeline.features import write_features
from pipeline.ledger import write_ledger
from pipeline.params import Params
from pipeline.places import places
from pipeline.settings.extract import ExtractSettings
from pipeline.stage import run
from pipeline.steps import audio


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
