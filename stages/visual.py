"""Pictures to one vector per frame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.vectors import VECTORS
from pipeline.extraction.visual import OnDemand, visual_of
from pipeline.extractors.device import (
    arithmetic,
    picture_backend,
    resolve_device,
    set_threads,
)
from pipeline.features import write_features
from pipeline.fingerprint import code_digest, versions
from pipeline.frames import read_frames
from pipeline.manifest import count_utterances
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.visual import VisualSettings
from pipeline.stage import run
from pipeline.weights.folder import Encoder, load

if TYPE_CHECKING:
    from pipeline.extractors.visual import ImageEncoder

CODE = (
    "pipeline.extraction.batches",
    "pipeline.extraction.seen",
    "pipeline.extraction.visual",
    "pipeline.extractors.backends",
    "pipeline.extractors.images",
    "pipeline.extractors.networks",
    "pipeline.extractors.visual",
)

# Those whose versions move the last bits of a vector.
PACKAGES = {
    "torch": ("torch", "torchvision"),
    "onnxruntime": ("torch", "torchvision", "onnxruntime", "onnxscript"),
}


def work(params: Params, corpus: str) -> None:
    """Writes the visual store; an empty one where visual is not extracted."""
    store = paths.features(corpus, "visual")
    if "visual" not in params.of(ExtractSettings, corpus).modalities:
        write_features(store, [], {"extractor": None})
        return
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    device = resolve_device(compute.device)
    backend = picture_backend(device, settings.backend)
    encoder = load(paths.pretrained(corpus, "visual"))
    about = {
        "extractor": "visual",
        "settings": settings.model_dump(exclude={"backend"}),
        "compute": {
            "backend": backend,
            **arithmetic(device, compute.threads, compute.precision),
        },
        "encoder": encoder.about,
        "versions": versions(*PACKAGES[backend], "opencv-python", "numpy"),
    }
    cache = ClipCache("visual", [about, code_digest(*CODE)], VECTORS, about=about)
    count = count_utterances(paths.manifest(corpus))
    network = OnDemand(partial(_network, encoder, settings, compute, device), settings.batch_size)
    found = visual_of(partial(read_frames, paths.frames(corpus)), network, cache)
    rows = track(found, f"visual {corpus}", count)
    present, dimension = write_features(store, rows, about)
    print(f"visual: {present} utterances, {dimension} features per frame")


def _network(
    encoder: Encoder, settings: VisualSettings, compute: ComputeSettings, device: str
) -> ImageEncoder:
    # Here, so that a stage that finds everything in the cache does not wait for torch.
    from pipeline.extractors.visual import ImageEncoder

    set_threads(compute.threads)
    (weights,) = (encoder.folder / name for name in encoder.files)
    return ImageEncoder(
        architecture=encoder.architecture,
        weights=weights,
        layer=settings.layer,
        device=device,
        precision=compute.precision,
        batch_size=settings.batch_size,
        backend=settings.backend,
        threads=compute.threads,
    )


if __name__ == "__main__":
    run(work)
