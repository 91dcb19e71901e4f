"""Raw sound to openSMILE functionals."""

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.audio import AudioMaker, audio_of
from pipeline.extraction.tally import Tally
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.audio import Functionals
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.ledger import write_ledger
from pipeline.manifest import count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.audio import AudioSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.stage import run

CODE = (
    "pipeline.extraction.audio",
    "pipeline.extraction.sound",
    "pipeline.extractors.audio",
    "pipeline.media.audio",
    "pipeline.media.opening",
)


def work(params: Params, corpus: str) -> None:
    """Writes the audio store and its ledger; both empty where audio is not extracted."""
    store, ledger = paths.features(corpus, "audio"), paths.ledger(corpus, "audio")
    if "audio" not in params.of(ExtractSettings, corpus).modalities:
        write_features(store, [], 0, {"extractor": None})
        write_ledger(ledger, [])
        return
    settings = params.of(AudioSettings, corpus)
    functionals = Functionals(settings.feature_set)
    about = {
        "extractor": "audio",
        "settings": settings.model_dump(),
        "versions": versions("av", "opensmile", "numpy"),
    }
    cache = ClipCache("audio", [about, code_digest(*CODE)], VECTORS)
    manifest = paths.manifest(corpus)
    make = AudioMaker(paths.raw(corpus), functionals.extract, cache)
    found = audio_of(stream_manifest(manifest), make)
    tally = Tally("audio", corpus)
    rows = tally.counted(track(found, f"audio {corpus}", count_utterances(manifest)))
    write_features(store, rows, functionals.dimension, about)
    tally.close(ledger)


if __name__ == "__main__":
    run(work)
