"""The frame store to the visual store: pictures to one vector per frame."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipeline.base.cache import ClipCache
from pipeline.base.display import say
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.base.tables import read_provenance
from pipeline.features.common.device import arithmetic, picture_backend, resolve_device
from pipeline.features.visual.encoder import EXPORT, ImageEncoder
from pipeline.features.visual.settings import VisualSettings
from pipeline.features.visual.stream import visual_of
from pipeline.records.features import VECTORS, write_features
from pipeline.records.frames import VERSION, read_frames
from pipeline.records.manifest import count_utterances
from pipeline.weights.folder import Encoder, load

CODE = ("pipeline.features.visual.encoder", "pipeline.features.visual.stream")
# Those whose versions move the last bits of a vector.
PACKAGES = {
    "torch": ("torch", "torchvision"),
    "onnxruntime": ("torch", "torchvision", "onnxruntime", "onnxscript"),
}


def extract(params: Params, corpus: str, places: Places) -> None:
    """Write the visual store; refuse an absent frame store or device and a damaged encoder."""
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    encoder = load(places.encoders["visual"])
    frames = read_provenance(places.frames, VERSION)
    provenance = _provenance(settings, compute, encoder, frames)
    vectors = visual_of(
        partial(read_frames, places.frames),
        network(encoder, settings, compute),
        ClipCache("visual", _fingerprint(provenance), VECTORS, about=provenance),
    )
    rows = track(vectors, f"visual {places.name}", count_utterances(places.manifest))
    present, dimension = write_features(places.stores["visual"], rows, provenance)
    say(f"visual: {present} utterances, {dimension} features per frame")


def provenance_of(
    params: Params, corpus: str, places: Places, frames: Mapping[str, Any]
) -> dict[str, Any]:
    """What a visual store's metadata says of it, but for the dimension; `frames` is its frames'."""
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    return _provenance(settings, compute, load(places.encoders["visual"]), frames)


def _provenance(
    settings: VisualSettings, compute: ComputeSettings, encoder: Encoder, frames: Mapping[str, Any]
) -> dict[str, Any]:
    device = resolve_device(compute.device)
    backend = picture_backend(device, settings.backend)
    return {
        "extractor": "visual",
        "settings": settings.model_dump(exclude={"backend"}),
        "compute": {
            "backend": backend,
            **arithmetic(device, compute.threads, compute.precision),
        },
        "encoder": encoder.about,
        "versions": versions(*PACKAGES[backend], "opencv-python", "numpy"),
        "frames": dict(frames),
    }


def _fingerprint(provenance: dict[str, Any]) -> list[Any]:
    """All that vectors depend on but the pictures, whose content is in the key of each entry."""
    return [provenance | {"frames": None}, code_digest(*CODE)]


def network(encoder: Encoder, settings: VisualSettings, compute: ComputeSettings) -> ImageEncoder:
    """The network that turns pictures into vectors, loaded when the first batch starts."""
    provenance = _provenance(settings, compute, encoder, {})
    (weights,) = encoder.files
    return ImageEncoder(
        architecture=encoder.architecture,
        weights=encoder.folder / weights,
        layer=settings.layer,
        device=resolve_device(compute.device),
        precision=compute.precision,
        batch_size=settings.batch_size,
        backend=settings.backend,
        threads=compute.threads,
        exports=ClipCache("networks", _fingerprint(provenance), EXPORT, about=provenance),
    )
