"""Texts to the text store: one vector each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cache import ClipCache
from pipeline.extraction.text import Encode, Reader, Readers, text_of, window_of
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.device import arithmetic, resolve_device, set_threads
from pipeline.extractors.turns import Turn
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.manifest import Utterance, count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.places import Places
from pipeline.progress import track
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.text import TextSettings
from pipeline.weights.folder import Encoder, load

if TYPE_CHECKING:
    from pipeline.extractors.text import TextEncoder

CODE = (
    "pipeline.extraction.text",
    "pipeline.extractors.pairs",
    "pipeline.extractors.pretrained",
    "pipeline.extractors.reading",
    "pipeline.extractors.text",
    "pipeline.extractors.tokens",
    "pipeline.extractors.turns",
)
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
    from pipeline.extractors.text import TextEncoder

    set_threads(compute.threads)
    return TextEncoder(
        folder=folder,
        pooling=settings.pooling,
        max_tokens=settings.max_tokens,
        device=resolve_device(compute.device),
        precision=compute.precision,
        tokens_per_batch=settings.tokens_per_batch,
    )
