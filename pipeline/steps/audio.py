"""Raw sound to the audio store: one vector per utterance, by openSMILE or by a speech encoder."""

from collections.abc import Iterable
from typing import Any

from pipeline.cache import ClipCache
from pipeline.extraction.audio import AudioMaker, Found, audio_of
from pipeline.extraction.speech import Decoder, speech_of
from pipeline.extraction.tally import Tally
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.audio import Smile
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.manifest import count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.places import Places
from pipeline.progress import track
from pipeline.settings.audio import AudioSettings
from pipeline.settings.compute import ComputeSettings
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


def extract(params: Params, corpus: str, places: Places) -> Tally:
    """Writes the audio store and its ledger.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: What is read and written.

    Raises:
        PipelineError: No such device, or the encoder's folder is not as it should be.
    """
    settings = params.of(AudioSettings, corpus)
    if settings.extractor == "opensmile":
        found, about = _opensmile(settings, places)
    else:
        found, about = _speech(settings, params.of(ComputeSettings), places)
    tally = Tally("audio")
    count = count_utterances(places.manifest)
    rows = tally.counted(track(found, f"audio {places.name}", count))
    write_features(places.stores["audio"], rows, about)
    tally.close(places.ledgers["audio"])
    return tally


def _opensmile(settings: AudioSettings, places: Places) -> Extracted:
    smile = Smile(settings.feature_set, settings.level)
    about = {
        "extractor": "opensmile",
        "settings": settings.model_dump(include={"feature_set", "level"}),
        "versions": versions("av", "opensmile", "numpy"),
    }
    cache = ClipCache("audio", [about, code_digest(*CODE["opensmile"])], VECTORS, about=about)
    make = AudioMaker(places.raw, smile.extract, cache)
    return audio_of(stream_manifest(places.manifest), make), about


def _speech(settings: AudioSettings, compute: ComputeSettings, places: Places) -> Extracted:
    # They import torch, which takes seconds that openSMILE need not wait.
    from pipeline.extractors.device import arithmetic, resolve_device, set_threads
    from pipeline.extractors.speech import SpeechEncoder

    set_threads(compute.threads)
    encoder = load(places.encoders["audio"])
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
    utterances = stream_manifest(places.manifest)
    return speech_of(utterances, Decoder(places.raw), network.encode, cache), about
