"""Raw sound to the audio store: one vector per utterance, by openSMILE or by a speech encoder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.cache import ClipCache
from pipeline.base.errors import MediaError
from pipeline.base.files import chunked
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.base.workers import isolated_map, patience_for
from pipeline.features.audio.settings import AudioSettings
from pipeline.features.audio.smile import Smile
from pipeline.features.common.device import arithmetic, resolve_device, set_threads
from pipeline.features.common.once import Entries, Failures, Piece, Tally, media_key
from pipeline.features.common.sound import RATE, sound_of
from pipeline.records.features import VECTORS, vectors_in, vectors_row, write_features
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Segment, Utterance, count_utterances, stream_manifest
from pipeline.weights.folder import load

Extract = Callable[[np.ndarray, int], np.ndarray]
Found = tuple[str, np.ndarray | None, list[Problem]]


@dataclass(frozen=True)
class AudioMaker:
    """Makes the cache entries of utterances' sound.

    Attributes:
        root: The raw folder that paths are relative to.
        extract: [sample] float32 and its rate in hertz to [feature]; it can be pickled.
        cache: Of `VECTORS` rows.
    """

    root: Path
    extract: Extract
    cache: ClipCache

    def __call__(self, pieces: Sequence[Piece]) -> Failures:
        """Puts the entry of each piece; returns what failed, by key."""
        failed: Failures = {}
        for piece in pieces:
            try:
                vector = self.extract(sound_of(self.root, piece.segment), RATE)
                self.cache.put(piece.key, vectors_row(vector[None]))
            except MediaError as error:
                failed[piece.key] = error
        return failed


def audio_of(utterances: Iterable[Utterance], make: AudioMaker) -> Iterator[Found]:
    """The features of each utterance's sound, computed only if the cache lacks them.

    Args:
        utterances: In manifest order.
        make: What makes them.

    Yields:
        Utterance, its [1, feature] vector (None where missing) and what went wrong.
    """
    files = ([Piece(u, u.audio, media_key(u.audio))] for u in utterances)
    for u, entry in Entries(make, make.cache, (__name__, "opensmile")).of(files):
        if isinstance(entry, MediaError):
            yield u.utterance, None, [Problem(u.utterance, "audio", entry.kind, entry.detail)]
        else:
            yield u.utterance, None if entry is None else vectors_in(entry), []


# Processes are started anew for each so many; what is held of an utterance is its vector.
UTTERANCES_AT_ONCE = 512
Encode = Callable[[np.ndarray], np.ndarray]
Vectors = Mapping[str, np.ndarray | MediaError]


@dataclass(frozen=True)
class Decoder:
    """Decodes segments, in a process of its own.

    Attributes:
        root: The raw folder that paths are relative to.
    """

    root: Path

    def __call__(self, segment: Segment) -> np.ndarray | MediaError:
        """[sample] float32, mono, 16 kHz; or why there is none."""
        try:
            return sound_of(self.root, segment)
        except MediaError as error:
            return error


def speech_of(
    utterances: Iterable[Utterance], decode: Decoder, encode: Encode, cache: ClipCache
) -> Iterator[Found]:
    """The vector of each utterance's sound, computed only if the cache lacks it.

    Args:
        utterances: In manifest order.
        decode: Segments to samples; it can be pickled.
        encode: [sample] float32 at 16 kHz to [feature].
        cache: Of `VECTORS` rows.

    Yields:
        Utterance, its [1, feature] vector (None where missing) and what went wrong.
    """
    for chunk in chunked(utterances, UTTERANCES_AT_ONCE):
        segments = {media_key(u.audio): u.audio for u in chunk if u.audio.missing is None}
        found: dict[str, np.ndarray | MediaError] = {
            key: vectors_in(entry) for key in segments if (entry := cache.get(key)) is not None
        }
        lacking = {key: segment for key, segment in segments.items() if key not in found}
        waiting = deque(chunk)
        yield from _ready(waiting, found)
        sounds = isolated_map(decode, lacking.values(), _patience, (__name__,))
        for key, sound in zip(lacking, sounds, strict=True):
            found[key] = _made(key, sound, encode, cache)
            yield from _ready(waiting, found)


def _made(
    key: str, sound: np.ndarray | MediaError, encode: Encode, cache: ClipCache
) -> np.ndarray | MediaError:
    """The [1, feature] vector of a sound, kept in the cache; or why there is none."""
    if isinstance(sound, MediaError):
        return sound
    try:
        return vectors_in(cache.put(key, vectors_row(encode(sound)[None])))
    except MediaError as error:
        return error


def _ready(waiting: deque[Utterance], found: Vectors) -> Iterator[Found]:
    """Takes utterances off the front for as long as it is known what they have."""
    while waiting:
        u = waiting[0]
        vector = None if u.audio.missing is not None else found.get(media_key(u.audio))
        if vector is None and u.audio.missing is None:
            return
        waiting.popleft()
        if isinstance(vector, MediaError):
            problem = Problem(u.utterance, "audio", vector.kind, vector.detail)
            yield u.utterance, None, [problem]
        else:
            yield u.utterance, vector, []


def _patience(segment: Segment) -> float:
    return patience_for(segment.end or 0.0)


if TYPE_CHECKING:
    from pipeline.features.audio.speech import SpeechEncoder

CODE = {
    "opensmile": ("pipeline.features.audio.smile", "pipeline.features.common.sound"),
    "speech": ("pipeline.features.audio.speech", "pipeline.features.common.sound"),
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
    from pipeline.features.audio.speech import SpeechEncoder

    set_threads(compute.threads)
    return SpeechEncoder(
        folder=folder,
        layers=settings.layers,
        device=resolve_device(compute.device),
        precision=compute.precision,
    )
