"""Raw sound to the audio store: one vector per utterance, by openSMILE or by a speech encoder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.features.audio.settings import AudioSettings
from pipeline.features.audio.smile import Smile
from pipeline.features.common.device import arithmetic, resolve_device, set_threads
from pipeline.features.common.once import (
    Entries,
    Failures,
    Outcome,
    Piece,
    Tally,
    check_content,
    media_key,
    outcome,
)
from pipeline.records.features import VECTORS, vectors_in, vectors_row, write_features
from pipeline.records.manifest import Utterance, count_utterances, stream_manifest
from pipeline.weights.folder import load

if TYPE_CHECKING:
    from pipeline.features.audio.speech import SpeechEncoder

SOUND = "pipeline.features.common.sound"
CODE = {
    "opensmile": ("pipeline.features.audio.smile", SOUND),
    "speech": ("pipeline.features.audio.speech", SOUND),
}
Extract = Callable[[np.ndarray, int], np.ndarray]
Encode = Callable[[np.ndarray], np.ndarray]


def extract(params: Params, corpus: str, places: Places) -> Tally:
    """Write the audio store and its ledger.

    Raises:
        PipelineError: No such device, or the encoder's folder is not as it should be.
    """
    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    provenance = provenance_of(params, corpus, places)
    cache = ClipCache("audio", _fingerprint(settings, provenance), VECTORS, about=provenance)
    if settings.extractor == "opensmile":
        smile = Smile(settings.feature_set, settings.level)
        entries = opensmile_entries(places.raw, smile.extract, cache)
    else:
        encode = encoding(places.encoders["audio"], settings, compute)
        entries = speech_entries(places.raw, encode, cache)
    tally = Tally("audio")
    outcomes = audio_of(stream_manifest(places.manifest), entries)
    shown = track(outcomes, f"audio {places.name}", count_utterances(places.manifest))
    write_features(places.stores["audio"], tally.rows(shown), provenance)
    tally.close(places.ledgers["audio"])
    return tally


def provenance_of(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """What an audio store's metadata says of it, but for the dimension."""
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


def _fingerprint(settings: AudioSettings, provenance: dict[str, Any]) -> list[Any]:
    code = code_digest(*CODE[settings.extractor])
    if settings.extractor == "opensmile":
        return [provenance, code]
    # An encoder under another name computes the same.
    encoder, *parts = (provenance[part] for part in ("encoder", "compute", "versions"))
    return ["speech", settings.layers, encoder["sha256"], *parts, code]


def encoding(folder: Path, settings: AudioSettings, compute: ComputeSettings) -> Encode:
    """The speech encoder of a folder, loaded for the first sound."""

    @functools.cache
    def network() -> SpeechEncoder:
        # Here, so that a run that finds everything in the cache does not wait for torch.
        from pipeline.features.audio.speech import SpeechEncoder

        set_threads(compute.threads)
        return SpeechEncoder(
            folder=folder,
            layers=settings.layers,
            device=resolve_device(compute.device),
            precision=compute.precision,
        )

    return lambda samples: network().encode(samples)


def _sound(root: Path, piece: Piece) -> np.ndarray:
    """The sound that the manifest describes; raises a PipelineError if the file holds another."""
    # Here, so that a run that finds everything in the cache imports no decoder.
    from pipeline.features.common.sound import sound_of

    check_content(root, piece)
    sound = sound_of(root, piece.segment)
    check_content(root, piece)
    return sound


@dataclass(frozen=True)
class AudioMaker:
    """Puts the features of pieces of sound into a cache, in a process of its own.

    Attributes:
        root: The raw folder that paths are relative to.
        extract: [sample] float32 and its rate in hertz to [feature]; it can be pickled.
        cache: Of `VECTORS` rows.
    """

    root: Path
    extract: Extract
    cache: ClipCache

    def __call__(self, pieces: Sequence[Piece]) -> Failures:
        """What failed, by key."""
        from pipeline.features.common.sound import RATE

        failed: Failures = {}
        for piece in pieces:
            try:
                vector = self.extract(_sound(self.root, piece), RATE)
                self.cache.put(piece.key, vectors_row(vector[None]))
            except MediaError as error:
                failed[piece.key] = error
        return failed


def opensmile_entries(root: Path, extract: Extract, cache: ClipCache) -> Entries:
    """Vectors of sounds, computed in the processes that decode them."""
    return Entries(AudioMaker(root, extract, cache), cache, ("opensmile", SOUND))


@dataclass(frozen=True)
class Decoder:
    """Decodes pieces of sound, in a process of its own; paths are relative to `root`."""

    root: Path

    def __call__(self, pieces: Sequence[Piece]) -> dict[str, np.ndarray | MediaError]:
        """[sample] float32, mono, 16 kHz, or why there is none, by key."""
        sounds: dict[str, np.ndarray | MediaError] = {}
        for piece in pieces:
            try:
                sounds[piece.key] = _sound(self.root, piece)
            except MediaError as error:
                sounds[piece.key] = error
        return sounds


def speech_entries(root: Path, encode: Encode, cache: ClipCache) -> Entries:
    """Vectors of sounds, decoded in processes of their own and encoded in this one."""

    def finish(sound: np.ndarray) -> dict[str, Any]:
        return vectors_row(encode(sound)[None])

    return Entries(Decoder(root), cache, (SOUND,), finish)


def audio_of(utterances: Iterable[Utterance], entries: Entries) -> Iterator[Outcome[np.ndarray]]:
    """Yield the [1, feature] vector of each utterance's sound, in the order of utterances."""
    files = ([Piece(u, u.audio, media_key(u.audio))] for u in utterances)
    for utterance, entry in entries.of(files):
        vector = vectors_in(entry) if isinstance(entry, pa.RecordBatch) else entry
        yield outcome(utterance, "audio", vector)
