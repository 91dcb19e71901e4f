"""Texts to the text store: one vector each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cache import ClipCache
from pipeline.extraction.text import Encode, text_of
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
from pipeline.weights.folder import load

if TYPE_CHECKING:
    from pipeline.extractors.text import TextEncoder

CODE = (
    "pipeline.extraction.text",
    "pipeline.extractors.pretrained",
    "pipeline.extractors.text",
    "pipeline.extractors.tokens",
    "pipeline.extractors.turns",
)


def extract(params: Params, corpus: str, places: Places) -> None:
    """Writes the text store.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: What is read and written.

    Raises:
        PipelineError: No such device, or the encoder's folder is not as it should be.
    """
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    told = about(params, corpus, places)
    encode = encoding(f"text {places.name}", places.encoders["text"], settings, compute)
    utterances = stream_manifest(places.manifest)
    found = text_of(utterances, settings.context_turns, encode, entries(settings, told))
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


def entries(settings: TextSettings, told: dict[str, Any]) -> ClipCache:
    """The clip cache of the texts that are read with these settings and this provenance."""
    # An encoder under another name computes the same; the context is in the key of each text.
    reading = settings.model_dump(exclude={"encoder", "context_turns"})
    parts = [reading, told["compute"], told["encoder"]["sha256"], told["versions"]]
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


@cache
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
