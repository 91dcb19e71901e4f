"""The frame store to the visual store: pictures to one vector per frame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

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
from pipeline.places import Places
from pipeline.progress import track
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.visual import VisualSettings
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


def extract(params: Params, corpus: str, places: Places) -> None:
    """Writes the visual store.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: What is read and written.

    Raises:
        PipelineError: No frame store, no such device, or the encoder's folder is not as it should
            be.
    """
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    device = resolve_device(compute.device)
    backend = picture_backend(device, settings.backend)
    encoder = load(places.encoders["visual"])
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
    network = OnDemand(partial(_network, encoder, settings, compute, device), settings.batch_size)
    found = visual_of(partial(read_frames, places.frames), network, cache)
    rows = track(found, f"visual {places.name}", count_utterances(places.manifest))
    present, dimension = write_features(places.stores["visual"], rows, about)
    print(f"visual: {present} utterances, {dimension} features per frame")


def _network(
    encoder: Encoder, settings: VisualSettings, compute: ComputeSettings, device: str
) -> ImageEncoder:
    # Here, so that a run that finds everything in the cache does not wait for torch.
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
