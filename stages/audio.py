"""Raw sound to one vector per utterance: by openSMILE or by a speech encoder."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.audio import extract as audio
from pipeline.features.common.settings import ExtractSettings
from pipeline.records.features import write_features
from pipeline.records.ledger import write_ledger


def work(params: Params, corpus: str) -> None:
    """Write the audio store and its ledger; both empty where audio is not extracted."""
    where, settings = places(corpus), params.of(ExtractSettings, corpus)
    if settings.computed("audio"):
        audio.extract(params, corpus, where).check(corpus)
        return
    write_ledger(where.ledgers["audio"], [])
    if "audio" in settings.imported:
        # Here, so that other corpora do not wait for what reads files of others.
        from pipeline.features.imported import import_features

        import_features(params, corpus, where, "audio")
    else:
        write_features(where.stores["audio"], [], {"extractor": None})


if __name__ == "__main__":
    run(work)
