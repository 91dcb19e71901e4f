"""Texts to the text store: one vector per utterance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.files import chunked
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.features.common.device import arithmetic, resolve_device, set_threads
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import Said, Turn, Window, turns
from pipeline.records.features import VECTORS, vectors_in, vectors_row, write_features
from pipeline.records.manifest import Utterance, count_utterances, stream_manifest
from pipeline.weights.folder import Encoder, load

Encode = Callable[[Sequence[Turn]], Iterable[tuple[int, np.ndarray]]]
# Texts are sorted by length within so many: all of MELD at once, and 50 MB of vectors at most.
TEXTS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Reader:
    """A text encoder and what it has read before.

    Attributes:
        encode: Turns to their places and [feature] vectors, in any order; a vector must not
            depend on its neighbours.
        cache: Of `VECTORS` rows.
    """

    encode: Encode
    cache: ClipCache

    def vectors(self, wanted: Iterable[Turn]) -> dict[str, np.ndarray]:
        """[1, feature] of turns by key, computed only if the cache lacks it."""
        by_key = {_key(turn): turn for turn in wanted}
        found = {k: vectors_in(e) for k in by_key if (e := self.cache.get(k)) is not None}
        missing = [key for key in by_key if key not in found]
        for place, vector in self.encode([by_key[key] for key in missing]):
            key = missing[place]
            found[key] = vectors_in(self.cache.put(key, vectors_row(vector[None])))
        return found


@dataclass(frozen=True)
class Readers:
    """Which encoder reads which dialogue.

    Attributes:
        usual: Reads all that no other reads.
        parts: Readers that read some dialogues alone.
        part_of: Numbers of `parts` by dialogue.
    """

    usual: Reader
    parts: Sequence[Reader] = ()
    part_of: Mapping[str, int] = field(default_factory=dict)


def window_of(settings: TextSettings) -> Window:
    """How much of a dialogue is read with each turn."""
    return Window(settings.context_turns, settings.context_turns_after, settings.speaker_marks)


def text_of(
    utterances: Iterable[Utterance], window: Window, readers: Readers
) -> Iterator[tuple[str, np.ndarray]]:
    """The vector of each text.

    Args:
        utterances: In manifest order, so that a dialogue's turns stand together.
        window: How much of the dialogue is read with each.
        readers: What reads them.

    Yields:
        Utterance and its [1, feature] vector.
    """
    for chunk in chunked(read_turns(utterances, window), TEXTS_AT_ONCE):
        parts = [readers.part_of.get(u.dialogue) for u, _ in chunk]
        found = {}
        for part, reader in ((None, readers.usual), *enumerate(readers.parts)):
            mine = (turn for (_, turn), of in zip(chunk, parts, strict=True) if of == part)
            found[part] = reader.vectors(mine)
        for (u, turn), part in zip(chunk, parts, strict=True):
            yield u.utterance, found[part][_key(turn)]


def read_turns(utterances: Iterable[Utterance], window: Window) -> Iterator[tuple[Utterance, Turn]]:
    """What is read of each utterance; nothing of another dialogue ever is.

    Args:
        utterances: In manifest order.
        window: How much of the dialogue is read with each.
    """
    for _, group in groupby(utterances, key=lambda u: u.dialogue):
        dialogue = list(group)
        said = [Said(u.speaker, u.text) for u in dialogue]
        yield from zip(dialogue, turns(said, window), strict=True)


def _key(turn: Turn) -> str:
    """All that is read."""
    return digest_of(turn.text, turn.before, turn.after)


if TYPE_CHECKING:
    from pipeline.features.text.encoder import TextEncoder

CODE = ("pipeline.features.text.encoder",)
# What is read with a turn is in the key of each text, and an encoder's files in its digest.
NOT_READING = {"encoder", "context_turns", "context_turns_after", "speaker_marks"}


def extract(params: Params, corpus: str, places: Places) -> None:
    """Writes the text store.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: What is read and written.

    Raises:
        PipelineError: No such device, or the encoder's folder is not as it should be.
    """
    told, readers = about(params, corpus, places), readers_of(params, corpus, places)
    window = window_of(params.of(TextSettings, corpus))
    found = text_of(stream_manifest(places.manifest), window, readers)
    rows = with_words(stream_manifest(places.manifest), found)
    present, dimension = write_features(places.stores["text"], rows, told)
    masked = count_utterances(places.manifest) - present
    without = f", {masked} without words masked" if masked else ""
    print(f"text: {present} utterances, {dimension} features{without}")


def about(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """The provenance that `extract` writes.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: Where the encoder lies.
    """
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    device = resolve_device(compute.device)
    return {
        "extractor": "text",
        "settings": settings.model_dump(),
        "compute": arithmetic(device, compute.threads, compute.precision),
        "encoder": load(places.encoders["text"]).about,
        "versions": versions("torch", "transformers", "tokenizers", "numpy"),
    }


def readers_of(params: Params, corpus: str, places: Places, label: str | None = None) -> Readers:
    """The encoders that read a corpus' texts, each with what it has read before.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: Where the encoder lies.
        label: Of progress displays; None: what is extracted.
    """
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    told, encoder = about(params, corpus, places), load(places.encoders["text"])

    def reader(of: Encoder) -> Reader:
        encode = encoding(label or f"text {places.name}", of.folder, settings, compute)
        return Reader(encode, _entries(settings, told, of))

    return Readers(
        usual=reader(encoder.whole),
        parts=[reader(encoder.part(number)) for number in range(len(encoder.parts))],
        part_of={name: n for n, dialogues in enumerate(encoder.parts) for name in dialogues},
    )


def _entries(settings: TextSettings, told: dict[str, Any], encoder: Encoder) -> ClipCache:
    reading = settings.model_dump(exclude=NOT_READING)
    parts = [reading, told["compute"], encoder.digest, told["versions"]]
    return ClipCache("text", [*parts, code_digest(*CODE)], VECTORS, about=told)


def encoding(label: str, folder: Path, settings: TextSettings, compute: ComputeSettings) -> Encode:
    """Turns to vectors by the encoder of a folder, with a progress display."""

    def encode(turns: Sequence[Turn]) -> Iterable[tuple[int, np.ndarray]]:
        if not turns:
            return []
        return track(network(folder, settings, compute).encode(turns), label, len(turns))

    return encode


def with_words(
    utterances: Iterable[Utterance], found: Iterable[tuple[str, np.ndarray]]
) -> Iterator[tuple[str, np.ndarray | None]]:
    """What has no words has no text, as what has no clip has no sound."""
    for utterance, (name, vector) in zip(utterances, found, strict=True):
        yield name, vector if utterance.text.strip() else None


# One at a time: the texts of a part are read together.
@lru_cache(maxsize=1)
def network(folder: Path, settings: TextSettings, compute: ComputeSettings) -> TextEncoder:
    """The text encoder of a folder."""
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
