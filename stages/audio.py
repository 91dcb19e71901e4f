"""Raw sound to one vector per utterance: by openSMILE or by a speech encoder."""

from collections.abc import Iterable
from typing import Any

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.audio import AudioMaker, Found, audio_of
from pipeline.extraction.speech import Decoder, speech_of
from pipeline.extraction.tally import Tally
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.audio import Smile
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.ledger import write_ledger
from pipeline.manifest import count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.audio import AudioSettings
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.stage import run
from pipeline.weights.folder import load

SOUND = ("pipeline.extraction.sound", "pipeline.media.audio", "pipeline.media.opening")
CODE = {
    "opensmile": ("pipeline.extraction.audio", "pipeline.extractors.audio", *SOUND),
    "speech": (
        "pipeline.extraction.speech",
        "pipeline.extractors.pretrained",
        "pipeline.extractors.speech",
        *SOUND,
    ),
}
# Rows, and what computes them.
Extracted = tuple[Iterable[Found], dict[str, Any]]


def work(params: Params, corpus: str) -> None:
    """Writes the audio store and its ledger; both empty where audio is not extracted."""
    store, ledger = paths.features(corpus, "audio"), paths.ledger(corpus, "audio")
    if "audio" not in params.of(ExtractSettings, corpus).modalities:
        write_features(store, [], {"extractor": None})
        write_ledger(ledger, [])
        return
    settings = params.of(AudioSettings, corpus)
    extract = _opensmile if settings.extractor == "opensmile" else _speech
    found, about = extract(params, corpus)
    count = count_utterances(paths.manifest(corpus))
    tally = Tally("audio", corpus)
    rows = tally.counted(track(found, f"audio {corpus}", count))
    write_features(store, rows, about)
    tally.close(ledger)


def _opensmile(params: Params, corpus: str) -> Extracted:
    settings = params.of(AudioSettings, corpus)
    smile = Smile(settings.feature_set, settings.level)
    about = {
        "extractor": "opensmile",
        "settings": settings.model_dump(include={"feature_set", "level"}),
        "versions": versions("av", "opensmile", "numpy"),
    }
    cache = ClipCache("audio", [about, code_digest(*CODE["opensmile"])], VECTORS, about=about)
    make = AudioMaker(paths.raw(corpus), smile.extract, cache)
    return audio_of(stream_manifest(paths.manifest(corpus)), make), about


def _speech(params: Params, corpus: str) -> Extracted:
    # They import torch, which takes seconds that openSMILE need not wait.
    from pipeline.extractors.device import arithmetic, resolve_device, set_threads
    from pipeline.extractors.speech import SpeechEncoder

    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    set_threads(compute.threads)
    encoder = load(paths.pretrained(corpus, "audio"))
    network = SpeechEncoder(
        folder=encoder.folder,
        layers=settings.layers,
        device=resolve_device(compute.device),
        precision=compute.precision,
    )
    about = {
        "extractor": "speech",
        "settings": settings.model_dump(include={"encoder", "layers"}),
        "compute": arithmetic(network.device, compute.threads, compute.precision),
        "encoder": encoder.about,
        "versions": versions("av", "torch", "transformers", "numpy"),
    }
    # An encoder under another name computes the same.
    parts = ["speech", settings.layers, about["compute"], encoder.digest, about["versions"]]
    cache = ClipCache("audio", [*parts, code_digest(*CODE["speech"])], VECTORS, about=about)
    utterances = stream_manifest(paths.manifest(corpus))
    found = speech_of(utterances, Decoder(paths.raw(corpus)), network.encode, cache)
    return found, about


if __name__ == "__main__":
    run(work)
