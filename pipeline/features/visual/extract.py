"""The frame store to the visual store: pictures to one vector per frame."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.base.cache import ClipCache
from pipeline.base.display import say
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.base.tables import read_provenance
from pipeline.executors.spread import Needs
from pipeline.features.common.device import (
    arithmetic,
    chosen_device,
    needs_of,
    picture_backend,
)
from pipeline.features.common.shards import Step, fill_on_cluster
from pipeline.features.visual.encoder import EXPORT, ImageEncoder
from pipeline.features.visual.plan import lacking
from pipeline.features.visual.settings import VisualSettings
from pipeline.features.visual.stream import VectorRow, visual_of
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
    provenance = provenance_of(params, corpus, places, read_provenance(places.frames, VERSION))
    step = step_of(params, corpus, places)
    fill_on_cluster(step_of, step, params, corpus, places)
    rows = track(step.rows(), f"visual {places.name}", count_utterances(places.manifest))
    present, dimension = write_features(places.stores["visual"], rows, provenance)
    say(f"visual: {present} utterances, {dimension} features per frame")


@dataclass
class PictureStep(Step):
    """The step that looks at a corpus' pictures, for `fill_on_cluster`."""

    frames: Path
    encoder: ImageEncoder
    cache: ClipCache
    needs: Needs

    @property
    def folder(self) -> Path:
        """As `Step`."""
        return self.cache.folder

    def lacking(self) -> Iterator[str]:
        """As `Step`."""
        return lacking(read_frames(self.frames), self.cache)

    def rows(self, wanted: range | None = None) -> Iterator[VectorRow]:
        """As `Step`; the frame store has the rows of the manifest."""
        return visual_of(partial(read_frames, self.frames, wanted), self.encoder, self.cache)


def step_of(params: Params, corpus: str, places: Places) -> PictureStep:
    """The step that looks at a corpus' pictures; refuse an absent frame store or device."""
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    encoder = load(places.encoders["visual"])
    provenance = _provenance(settings, compute, encoder, read_provenance(places.frames, VERSION))
    cache = ClipCache("visual", _fingerprint(provenance), VECTORS, about=provenance)
    picture_network = network(encoder, settings, compute)
    return PictureStep(places.frames, picture_network, cache, needs_of("visual", compute))


def provenance_of(
    params: Params, corpus: str, places: Places, frames: Mapping[str, Any]
) -> dict[str, Any]:
    """What a visual store's metadata says of it, but for the dimension; `frames` is its frames'."""
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    return _provenance(settings, compute, load(places.encoders["visual"]), frames)


def _provenance(
    settings: VisualSettings, compute: ComputeSettings, encoder: Encoder, frames: Mapping[str, Any]
) -> dict[str, Any]:
    device = chosen_device(compute.device)
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
        device=chosen_device(compute.device),
        precision=compute.precision,
        batch_size=settings.batch_size,
        backend=settings.backend,
        threads=compute.threads,
        exports=ClipCache("networks", _fingerprint(provenance), EXPORT, about=provenance),
    )
