"""Raw video to pictures: evenly spaced frames, the face cut out."""

from typing import Any

import numpy as np

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.extraction.frames import FrameMaker, frames_of
from pipeline.extraction.pictures import Faces
from pipeline.extraction.shares import Shares
from pipeline.extraction.tally import Tally
from pipeline.extractors.faces import Face, FaceDetector
from pipeline.fingerprint import code_digest, versions
from pipeline.frames import PICTURES, write_frames
from pipeline.ledger import write_ledger
from pipeline.manifest import count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.faces import FacesSettings
from pipeline.settings.frames import FramesSettings
from pipeline.stage import run
from pipeline.weights.folder import load

CODE = (
    "pipeline.extraction.frames",
    "pipeline.extraction.pictures",
    "pipeline.extraction.sound",
    "pipeline.extraction.speakers",
    "pipeline.extractors.crops",
    "pipeline.extractors.faces",
    "pipeline.extractors.images",
    "pipeline.extractors.mouths",
    "pipeline.extractors.tracks",
    "pipeline.extractors.voices",
    "pipeline.media.audio",
    "pipeline.media.grey",
    "pipeline.media.opening",
    "pipeline.media.packets",
    "pipeline.media.video",
)


def work(params: Params, corpus: str) -> None:
    """Writes the frame store and its ledger; both empty where visual is not extracted."""
    if "visual" not in params.of(ExtractSettings, corpus).modalities:
        write_frames(paths.frames(corpus), [], {"extractor": None})
        write_ledger(paths.ledger(corpus, "frames"), [])
        return
    settings = params.of(FramesSettings, corpus)
    faces, about = _faces(corpus, settings, params.of(FacesSettings, corpus))
    cache = ClipCache("frames", [about, code_digest(*CODE)], PICTURES, about=about)
    manifest = paths.manifest(corpus)
    make = FrameMaker(paths.raw(corpus), settings, faces, cache)
    found = frames_of(stream_manifest(manifest), make)
    tally = Tally("visual", corpus)
    rows = tally.counted(track(found, f"frames {corpus}", count_utterances(manifest)))
    shares = Shares()
    write_frames(paths.frames(corpus), shares.counted(rows), about)
    tally.close(paths.ledger(corpus, "frames"))
    print("".join(f"{line}\n" for line in shares.lines()), end="")


def _faces(
    corpus: str, settings: FramesSettings, faces: FacesSettings
) -> tuple[Faces, dict[str, Any]]:
    about = {
        "extractor": "frames",
        "settings": settings.model_dump(),
        "versions": versions("av", "opencv-python", "numpy"),
    }
    if settings.crop != "face":
        return Faces(_none, faces.margin, faces.speaker), about
    encoder = load(paths.pretrained(corpus, "faces"))
    (weights,) = (encoder.folder / name for name in encoder.files)
    detector = FaceDetector(weights, faces.score_threshold)
    about |= {"faces": faces.model_dump(), "encoder": encoder.about}
    return Faces(detector.detect, faces.margin, faces.speaker), about


def _none(image: np.ndarray) -> list[Face]:
    return []


if __name__ == "__main__":
    run(work)
