"""Raw sound to the audio store: one vector per utterance, by openSMILE or by a speech encoder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cache import ClipCache
from pipeline.extraction.audio import AudioMaker, Found, audio_of
from pipeline.extraction.speech import Decoder, speech_of
from pipeline.extraction.tally import Tally
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.audio import Smile
from pipeline.extractors.device import arithmetic, resolve_device, set_threads
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.manifest import count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.places import Places
from pipeline.progress import track
from pipeline.settings.audio import AudioSettings
from pipeline.settings.compute import ComputeSettings
from pipeline.weights.folder import load

if TYPE_CHECKING:
    from pipeline.extractors.speech import SpeechEncoder

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


def extract(params: Params, corpus: str, places: Places) -> Tally:
    """Writes the audio store and its ledger.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: What is read and written.

    Raises:
        PipelineError: No such device, or the encoder's folder is not as it should be.
    """
    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    told = about(params, corpus, places)
    if settings.extractor == "opensmile":
        found = _opensmile(settings, places, told)
    else:
        found = _speech(settings, compute, places, told)
    tally = Tally("audio")
    count = count_utterances(places.manifest)
    rows = tally.counted(track(found, f"audio {places.name}", count))
    write_features(places.stores["audio"], rows, told)
    tally.close(places.ledgers["audio"])
    return tally


def about(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """The provenance that `extract` writes.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: Where the encoder lies.
    """
    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    if settings.extractor == "opensmile":
        return {
            "extractor": "opensmile",
            "settings": settings.model_dump(include={"feature_set", "level"}),
            "versions": versions("av", "opensmile", "numpy"),
        }
    device = resolve_device(compute.device)
    return {
        "extractor": "speech",
        "settings": settings.model_dump(include={"encoder", "layers"}),
        "compute": arithmetic(device, compute.threads, compute.precision),
        "encoder": load(places.encoders["audio"]).about,
        "versions": versions("av", "torch", "transformers", "numpy"),
    }


def _opensmile(settings: AudioSettings, places: Places, told: dict[str, Any]) -> Iterable[Found]:
    smile = Smile(settings.feature_set, settings.level)
    cache = ClipCache("audio", [told, code_digest(*CODE["opensmile"])], VECTORS, about=told)
    make = AudioMaker(places.raw, smile.extract, cache)
    return audio_of(stream_manifest(places.manifest), make)


def _speech(
    settings: AudioSettings, compute: ComputeSettings, places: Places, told: dict[str, Any]
) -> Iterable[Found]:
    speech = network(places.encoders["audio"], settings, compute)
    # An encoder under another name computes the same.
    parts = ["speech", settings.layers, told["compute"], told["encoder"]["sha256"]]
    code = code_digest(*CODE["speech"])
    cache = ClipCache("audio", [*parts, told["versions"], code], VECTORS, about=told)
    utterances = stream_manifest(places.manifest)
    return speech_of(utterances, Decoder(places.raw), speech.encode, cache)


def network(folder: Path, settings: AudioSettings, compute: ComputeSettings) -> SpeechEncoder:
    """The speech encoder of a folder."""
    # It imports torch, which takes seconds that openSMILE need not wait.
    from pipeline.extractors.speech import SpeechEncoder

    set_threads(compute.threads)
    return SpeechEncoder(
        folder=folder,
        layers=settings.layers,
        device=resolve_device(compute.device),
        precision=compute.precision,
    )
