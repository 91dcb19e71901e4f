"""Texts to one vector each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.text import Reader, Readers, text_of, window_of
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.device import arithmetic, resolve_device, set_threads
from pipeline.extractors.turns import Turn
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.manifest import stream_manifest
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.text import TextSettings
from pipeline.stage import run
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


def work(params: Params, corpus: str) -> None:
    """Writes the text store; an empty one where text is not extracted."""
    store = paths.features(corpus, "text")
    if "text" not in params.of(ExtractSettings, corpus).modalities:
        write_features(store, [], {"extractor": None})
        return
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    device = resolve_device(compute.device)
    encoder = load(paths.text_encoder(corpus))
    about = {
        "extractor": "text",
        "settings": settings.model_dump(),
        "compute": arithmetic(device, compute.threads, compute.precision),
        "encoder": encoder.about,
        "versions": versions("torch", "transformers", "tokenizers", "numpy"),
    }

    def reader(of: Encoder) -> Reader:
        def encode(turns: Sequence[Turn]) -> Iterable[tuple[int, np.ndarray]]:
            if not turns:
                return []
            network = _network(of.folder, settings, compute, device)
            return track(network.encode(turns), f"text {corpus}", len(turns))

        reading = settings.model_dump(exclude=NOT_READING)
        parts = [reading, about["compute"], of.digest, about["versions"], code_digest(*CODE)]
        return Reader(encode, ClipCache("text", parts, VECTORS, about=about))

    readers = Readers(
        usual=reader(encoder.whole),
        parts=[reader(encoder.part(number)) for number in range(len(encoder.parts))],
        part_of={name: n for n, dialogues in enumerate(encoder.parts) for name in dialogues},
    )
    rows = text_of(stream_manifest(paths.manifest(corpus)), window_of(settings), readers)
    present, dimension = write_features(store, rows, about)
    print(f"text: {present} utterances, {dimension} features")


# One at a time: a part's texts are read together.
@lru_cache(maxsize=1)
def _network(
    folder: Path, settings: TextSettings, compute: ComputeSettings, device: str
) -> TextEncoder:
    # Here, so that a stage that finds everything in the cache does not wait for torch.
    from pipeline.extractors.text import TextEncoder

    set_threads(compute.threads)
    return TextEncoder(
        folder=folder,
        pooling=settings.pooling,
        max_tokens=settings.max_tokens,
        device=device,
        precision=compute.precision,
        tokens_per_batch=settings.tokens_per_batch,
    )


if __name__ == "__main__":
    run(work)
