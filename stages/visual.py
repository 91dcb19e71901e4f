"""Pictures to one vector per frame."""

from functools import partial

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

CODE = (
    "pipeline.extraction.batches",
    "pipeline.extraction.seen",
    "pipeline.extraction.visual",
    "pipeline.extractors.backends",
    "pipeline.extractors.images",
    "pipeline.extractors.networks",
    "pipeline.extractors.visual",
)


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
        backend=settings.backend,
        threads=compute.threads,
    )
    about = {
        "extractor": "visual",
        # What of backend and machine matters is in the network's own words.
        "settings": settings.model_dump(exclude={"backend"}),
        "compute": network.compute,
        "encoder": encoder.about,
        "versions": versions(*network.packages, "opencv-python", "numpy"),
    }
    cache = ClipCache("visual", [about, code_digest(*CODE)], VECTORS, about=about)
    count = count_utterances(paths.manifest(corpus))
    found = visual_of(partial(read_frames, paths.frames(corpus)), network, cache)
    rows = track(found, f"visual {corpus}", count)
    present = write_features(store, rows, network.dimension, about)
    print(f"visual: {present} utterances, {network.dimension} features per frame")


if __name__ == "__main__":
    run(work)
