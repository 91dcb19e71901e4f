"""Texts to one vector each."""

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.text import text_of
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.device import resolve_device, set_threads
from pipeline.extractors.text import TextEncoder
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.manifest import read_manifest
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.text import TextSettings
from pipeline.stage import run
from pipeline.weights.folder import load

CODE = ("pipeline.extraction.text", "pipeline.extractors.text")


def work(params: Params, corpus: str) -> None:
    """Writes the text store; an empty one where text is not extracted."""
    store = paths.features(corpus, "text")
    if "text" not in params.of(ExtractSettings, corpus).modalities:
        write_features(store, [], 0, {"extractor": None})
        return
    settings, compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
    set_threads(compute.threads)
    encoder = load(paths.encoder(corpus, "text"))
    network = TextEncoder(
        folder=encoder.folder,
        pooling=settings.pooling,
        max_tokens=settings.max_tokens,
        device=resolve_device(compute.device),
        precision=compute.precision,
        batch_size=settings.batch_size,
    )
    about = {
        "extractor": "text",
        "settings": settings.model_dump(),
        "compute": {**compute.model_dump(), "device": network.device},
        "encoder": encoder.about,
        "versions": versions("torch", "transformers", "tokenizers", "numpy"),
    }
    cache = ClipCache("text", [about, code_digest(*CODE)], VECTORS)
    utterances = read_manifest(paths.manifest(corpus))
    rows = track(text_of(utterances, network.encode, cache), f"text {corpus}", len(utterances))
    present = write_features(store, rows, network.dimension, about)
    print(f"text: {present} utterances, {network.dimension} features")


if __name__ == "__main__":
    run(work)
