"""The frame store to the visual store: pictures to one vector per frame."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.base.cache import ClipCache
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.base.tables import read_provenance
from pipeline.features.common.device import arithmetic, picture_backend, resolve_device, set_threads
from pipeline.features.visual.settings import VisualSettings
from pipeline.features.visual.stream import OnDemand, visual_of
from pipeline.records.features import VECTORS, write_features
from pipeline.records.frames import VERSION, read_frames
from pipeline.records.manifest import count_utterances
from pipeline.weights.folder import Encoder, load

if TYPE_CHECKING:
    from pipeline.features.visual.encoder import ImageEncoder

CODE = ("pipeline.features.visual.encoder", "pipeline.features.visual.stream")

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
    encoder = load(places.encoders["visual"])
    made_with = _made_with(settings, compute, encoder)
    cache = ClipCache("visual", [made_with, code_digest(*CODE)], VECTORS, about=made_with)
    on_demand = OnDemand(partial(network, encoder, settings, compute), settings.batch_size)
    found = visual_of(partial(read_frames, places.frames), on_demand, cache)
    rows = track(found, f"visual {places.name}", count_utterances(places.manifest))
    told = _told(made_with, encoder, read_provenance(places.frames, VERSION))
    present, dimension = write_features(places.stores["visual"], rows, told)
    print(f"visual: {present} utterances, {dimension} features per frame")


def about(
    params: Params, corpus: str, places: Places, pictures: Mapping[str, Any]
) -> dict[str, Any]:
    """The provenance that `extract` would write, without extracting.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: Where the encoder lies.
        pictures: The provenance of the frame store.
    """
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    encoder = load(places.encoders["visual"])
    return _told(_made_with(settings, compute, encoder), encoder, pictures)


def _made_with(
    settings: VisualSettings, compute: ComputeSettings, encoder: Encoder
) -> dict[str, Any]:
    """What the vectors depend on, besides the pictures and the code."""
    device = resolve_device(compute.device)
    backend = picture_backend(device, settings.backend)
    return {
        "extractor": "visual",
        "settings": settings.model_dump(exclude={"backend"}),
        "compute": {
            "backend": backend,
            **arithmetic(device, compute.threads, compute.precision),
        },
        "encoder": encoder.identity,
        "versions": versions(*PACKAGES[backend], "opencv-python", "numpy"),
    }


def _told(
    made_with: dict[str, Any], encoder: Encoder, pictures: Mapping[str, Any]
) -> dict[str, Any]:
    return {**made_with, "encoder": encoder.about, "frames": dict(pictures)}


def network(encoder: Encoder, settings: VisualSettings, compute: ComputeSettings) -> ImageEncoder:
    """The network that turns pictures into vectors."""
    # Here, so that a run that finds everything in the cache does not wait for torch.
    from pipeline.features.visual.encoder import ImageEncoder

    set_threads(compute.threads)
    (weights,) = (encoder.folder / name for name in encoder.files)
    return ImageEncoder(
        architecture=encoder.architecture,
        weights=weights,
        layer=settings.layer,
        device=resolve_device(compute.device),
        precision=compute.precision,
        batch_size=settings.batch_size,
        backend=settings.backend,
        threads=compute.threads,
    )
