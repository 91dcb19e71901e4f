"""Raw sound to the audio store: one vector per utterance, by openSMILE or by a speech encoder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from pipeline.executors.spread import Needs
from pipeline.features.audio.settings import AudioSettings
from pipeline.features.audio.smile import Smile
from pipeline.features.common.device import (
    arithmetic,
    chosen_device,
    needs_of,
    resolve_device,
    set_threads,
)
from pipeline.features.common.once import (
    Entries,
    Made,
    Outcome,
    Piece,
    Tally,
    check_content,
    media_key,
    outcome,
)
from pipeline.features.common.shards import StepOfClips, fill_on_cluster
from pipeline.features.common.without import NEVER, without
from pipeline.records.features import VECTORS, vectors_in, vectors_row, write_features
from pipeline.records.manifest import Utterance, count_utterances
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
    """Write the audio store and its ledger; refuse an absent device and a damaged encoder."""
    never = without(places.manifest, "audio", corpus)
    provenance, step = provenance_of(params, corpus, places), step_of(params, corpus, places)
    fill_on_cluster(step_of, step, params, corpus, places)
    tally = Tally("audio")
    outcomes = audio_of(step.rows())
    shown = track(outcomes, f"audio {places.name}", count_utterances(places.manifest))
    write_features(places.stores["audio"], tally.rows(shown), provenance)
    tally.missing -= never
    tally.close(places.ledgers["audio"])
    return tally


def step_of(params: Params, corpus: str, places: Places) -> StepOfClips:
    """The step that hears a corpus' sounds; refuse an absent device and a damaged encoder."""
    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    provenance, needs = provenance_of(params, corpus, places), Needs("audio", reads=places.raw)
    cache = ClipCache("audio", _fingerprint(settings, provenance), VECTORS, about=provenance)
    if settings.extractor == "opensmile":
        smile = Smile(settings.feature_set, settings.level)
        entries = opensmile_entries(places.raw, smile.extract, cache)
    else:
        needs = replace(needs_of("audio", compute), reads=places.raw)
        encode = encoding(places.encoders["audio"], settings, compute)
        entries = speech_entries(places.raw, encode, cache)
    return StepOfClips(places.manifest, entries, sounds, needs)


def provenance_of(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """What an audio store's metadata says of it, but for the dimension."""
    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    if settings.extractor == "opensmile":
        return {
            "extractor": "opensmile",
            "settings": settings.model_dump(include={"feature_set", "level"}),
            "versions": versions("av", "opensmile", "numpy"),
        }
    device = chosen_device(compute.device)
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


@dataclass(frozen=True)
class SoundReader:
    """Decodes pieces of sound, in a process of its own, and makes what is made of them there.

    `extract`, which can be pickled, puts [feature] vectors into the cache; without it the sounds
    themselves are given back. Paths are relative to `root`.
    """

    root: Path
    extract: Extract | None = None
    cache: ClipCache | None = None

    def __call__(self, pieces: Sequence[Piece]) -> Mapping[str, np.ndarray | MediaError]:
        """The sounds, [sample] float32 mono at 16 kHz, or why there is none, by key."""
        # Here, so that a run that finds everything in the cache imports no decoder.
        from pipeline.features.common.sound import RATE, sound_of

        given: dict[str, np.ndarray | MediaError] = {}
        for piece in pieces:
            try:
                check_content(self.root, piece)
                sound = sound_of(self.root, piece.segment)
                check_content(self.root, piece)
                if self.extract is None or self.cache is None:
                    given[piece.key] = sound
                else:
                    vector = self.extract(sound, RATE)
                    self.cache.put(piece.key, vectors_row(vector[None]))
            except MediaError as error:
                given[piece.key] = error
        return given


def opensmile_entries(root: Path, extract: Extract, cache: ClipCache) -> Entries:
    """Vectors of sounds, computed in the processes that decode them."""
    return Entries(SoundReader(root, extract, cache), cache, ("opensmile", SOUND))


def speech_entries(root: Path, encode: Encode, cache: ClipCache) -> Entries:
    """Vectors of sounds, decoded in processes of their own and encoded in this one."""
    return Entries(
        *(SoundReader(root), cache, (SOUND,)),
        finish=lambda sound: vectors_row(encode(sound)[None]),
        ahead=None,  # sounds, which wait here for their turn
    )


def sounds(utterances: Iterable[Utterance]) -> Iterator[list[Piece]]:
    """The piece of each utterance's sound, alone."""
    for u in utterances:
        sound = u.audio or NEVER
        yield [Piece(u, sound, media_key(sound))]


def audio_of(entries: Iterable[Made]) -> Iterator[Outcome[np.ndarray]]:
    """Yield the [1, feature] vector of each utterance's sound, in the order of utterances."""
    for utterance, entry in entries:
        vector = vectors_in(entry) if isinstance(entry, pa.RecordBatch) else entry
        yield outcome(utterance, "audio", vector)
