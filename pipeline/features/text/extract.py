"""Texts to the text store: one vector per utterance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.display import say
from pipeline.base.files import chunked
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.executors.spread import Needs
from pipeline.features.common.device import (
    arithmetic,
    chosen_device,
    needs_of,
    resolve_device,
    set_threads,
)
from pipeline.features.common.shards import Step, fill_on_cluster
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import Turn, Window, read_turns, window_of
from pipeline.records.features import VECTORS, vectors_in, vectors_row, write_features
from pipeline.records.manifest import Utterance, count_utterances, stream_manifest
from pipeline.weights.folder import Encoder, load

if TYPE_CHECKING:
    from pipeline.features.text.encoder import TextEncoder

CODE = ("pipeline.features.text.encoder",)
# What is read with a turn is in the key of each text, and an encoder's files in its digest.
NOT_READING = {"encoder", "context_turns", "context_turns_after", "speaker_marks"}
# Texts are sorted by length within so many: all of MELD at once, and 50 MB of vectors at most.
TEXTS_AT_ONCE = 16_384
# Turns to their places and [feature] vectors, in any order.
Encode = Callable[[Sequence[Turn]], Iterable[tuple[int, np.ndarray]]]


def extract(params: Params, corpus: str, places: Places) -> None:
    """Write the text store; refuse an absent device and a damaged encoder."""
    provenance, step = provenance_of(params, corpus, places), step_of(params, corpus, places)
    fill_on_cluster(step_of, step, params, corpus, places)
    rows = with_words(stream_manifest(places.manifest), step.rows())
    present, dimension = write_features(places.stores["text"], rows, provenance)
    masked = count_utterances(places.manifest) - present
    without = f", {masked} without words masked" if masked else ""
    say(f"text: {present} utterances, {dimension} features{without}")


@dataclass
class TextStep(Step):
    """The step that reads a corpus' texts, for `fill_on_cluster`."""

    manifest: Path
    window: Window
    reader: Reader
    needs: Needs

    @property
    def folder(self) -> Path:
        """As `Step`."""
        return self.reader.cache.folder

    def lacking(self) -> Iterator[str]:
        """As `Step`."""
        return lacking(stream_manifest(self.manifest), self.window, self.reader)

    def rows(self, wanted: range | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """As `Step`; dialogues are read as far as they are `wanted`."""
        return text_of(stream_manifest(self.manifest, wanted), self.window, self.reader)


def step_of(params: Params, corpus: str, places: Places) -> TextStep:
    """The step that reads a corpus' texts; refuse an absent device and a damaged encoder."""
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    reader = reader_of(params, corpus, places, f"text {places.name}")
    return TextStep(places.manifest, window_of(settings), reader, needs_of("text", compute))


def provenance_of(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """What a text store's metadata says of it, but for the dimension."""
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    return _provenance(settings, compute, load(places.encoders["text"]))


def _provenance(
    settings: TextSettings, compute: ComputeSettings, encoder: Encoder
) -> dict[str, Any]:
    device = chosen_device(compute.device)
    return {
        "extractor": "text",
        "settings": settings.model_dump(),
        "compute": arithmetic(device, compute.threads, compute.precision),
        "encoder": encoder.about,
        "versions": versions("torch", "transformers", "tokenizers", "numpy"),
    }


@dataclass(frozen=True)
class Reader:
    """A text encoder, whose vectors must not depend on their neighbours, and what it has read."""

    encode: Encode
    cache: ClipCache  # of `VECTORS` rows

    def vectors(self, turns: Iterable[Turn]) -> dict[str, np.ndarray]:
        """[1, feature] of turns by key, computed only if the cache lacks it."""
        by_key = {_key(turn): turn for turn in turns}
        vectors = {k: vectors_in(e) for k in by_key if (e := self.cache.get(k)) is not None}
        missing = [key for key in by_key if key not in vectors]
        for place, vector in self.encode([by_key[key] for key in missing]):
            key = missing[place]
            vectors[key] = vectors_in(self.cache.put(key, vectors_row(vector[None])))
        return vectors


def reader_of(params: Params, corpus: str, places: Places, label: str) -> Reader:
    """The reader of a corpus' texts; `label` names it in progress displays."""
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    encoder = load(places.encoders["text"])
    provenance = _provenance(settings, compute, encoder)
    reading = settings.model_dump(exclude=NOT_READING)
    computing = [reading, provenance["compute"], provenance["versions"], code_digest(*CODE)]
    cache = ClipCache("text", [*computing, encoder.digest], VECTORS, about=provenance)
    return Reader(encoding(label, encoder.folder, settings, compute), cache)


def encoding(label: str, folder: Path, settings: TextSettings, compute: ComputeSettings) -> Encode:
    """The encoder of a folder, loaded for the first turn, with a progress display."""

    def encode(turns: Sequence[Turn]) -> Iterable[tuple[int, np.ndarray]]:
        if not turns:
            return []
        return track(network(folder, settings, compute).encode(turns), label, len(turns))

    return encode


# Corrupted texts are read level by level: the network is kept between them.
@lru_cache(maxsize=1)
def network(folder: Path, settings: TextSettings, compute: ComputeSettings) -> TextEncoder:
    """Load the text encoder of a folder."""
    # Here, so that a run that finds everything in the cache does not wait for torch.
    from pipeline.features.text.encoder import TextEncoder

    set_threads(compute.threads)
    return TextEncoder(
        folder=folder,
        pooling=settings.pooling,
        max_tokens=settings.max_tokens,
        device=resolve_device(compute.device),
        precision=compute.precision,
        tokens_per_batch=settings.tokens_per_batch,
    )


def text_of(
    utterances: Iterable[Utterance], window: Window, reader: Reader
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the [1, feature] vector of each utterance's text.

    Args:
        utterances: In manifest order, so that a dialogue's turns stand together.
        window: How much of the dialogue is read with each.
        reader: What reads them.
    """
    for chunk in chunked(read_turns(utterances, window), TEXTS_AT_ONCE):
        vectors = reader.vectors(turn for _, turn in chunk)
        for u, turn in chunk:
            yield u.utterance, vectors[_key(turn)]


def lacking(utterances: Iterable[Utterance], window: Window, reader: Reader) -> Iterator[str]:
    """Keys of the texts, as for `text_of`, that were never read."""
    keys = (_key(turn) for _, turn in read_turns(utterances, window))
    return (key for key in keys if not reader.cache.has(key))


def _key(turn: Turn) -> str:
    """The digest of all that is read."""
    return digest_of(turn.text, turn.before, turn.after)


def with_words(
    utterances: Iterable[Utterance], rows: Iterable[tuple[str, np.ndarray]]
) -> Iterator[tuple[str, np.ndarray | None]]:
    """Mask what has no words: it has no text, as what has no clip has no sound."""
    for utterance, (name, vector) in zip(utterances, rows, strict=True):
        yield name, vector if utterance.text.strip() else None
