"""Pictures to one vector per frame."""

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.vectors import VECTORS
from pipeline.extraction.visual import visual_of
from pipeline.extractors.device import resolve_device, set_threads
from pipeline.extractors.visual import ImageEncoder
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
from pipeline.weights.folder import load

CODE = ("pipeline.extraction.visual", "pipeline.extractors.images", "pipeline.extractors.visual")


def work(params: Params, corpus: str) -> None:
    """Writes the visual store; an empty one where visual is not extracted."""
    store = paths.features(corpus, "visual")
    if "visual" not in params.of(ExtractSettings, corpus).modalities:
        write_features(store, [], 0, {"extractor": None})
        return
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    set_threads(compute.threads)
    encoder = load(paths.encoder(corpus, "visual"))
    (weights,) = (encoder.folder / name for name in encoder.files)
    network = ImageEncoder(
        architecture=encoder.architecture,
        weights=weights,
        layer=settings.layer,
        device=resolve_device(compute.device),
        precision=compute.precision,
        batch_size=settings.batch_size,
    )
    about = {
        "extractor": "visual",
        "settings": settings.model_dump(),
        "compute": {**compute.model_dump(), "device": network.device},
        "encoder": encoder.about,
        "versions": versions("torch", "torchvision", "opencv-python", "numpy"),
    }
    cache = ClipCache("visual", [about, code_digest(*CODE)], VECTORS)
    count = count_utterances(paths.manifest(corpus))
    found = visual_of(read_frames(paths.frames(corpus)), network.encode, cache)
    rows = track(found, f"visual {corpus}", count)
    present = write_features(store, rows, network.dimension, about)
    print(f"visual: {present} utterances, {network.dimension} features per frame")


if __name__ == "__main__":
    run(work)
