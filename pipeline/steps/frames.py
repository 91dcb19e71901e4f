"""Raw video to the frame store: evenly spaced frames, the face cut out."""

from typing import Any

import numpy as np

from pipeline.cache import ClipCache
from pipeline.extraction.frames import FrameMaker, frames_of
from pipeline.extraction.pictures import Faces
from pipeline.extraction.shares import Shares
from pipeline.extraction.tally import Tally
from pipeline.extractors.faces import Face, FaceDetector
from pipeline.fingerprint import code_digest, versions
from pipeline.frames import PICTURES, write_frames
from pipeline.manifest import count_utterances, stream_manifest
from pipeline.params import Params
from pipeline.places import Places
from pipeline.progress import track
from pipeline.settings.faces import FacesSettings
from pipeline.settings.frames import FramesSettings
from pipeline.weights.folder import Encoder, load

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


def extract(params: Params, corpus: str, places: Places) -> Tally:
    """Writes the frame store and its ledger.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: What is read and written.

    Raises:
        PipelineError: The detector's folder is not as it should be.
    """
    settings, choice = params.of(FramesSettings, corpus), params.of(FacesSettings, corpus)
    encoder = _encoder(settings, places)
    made_with = _made_with(settings, choice, encoder)
    cache = ClipCache("frames", [made_with, code_digest(*CODE)], PICTURES, about=made_with)
    make = FrameMaker(places.raw, settings, _faces(choice, encoder), cache)
    found = frames_of(stream_manifest(places.manifest), make)
    tally, shares = Tally("visual"), Shares()
    count = count_utterances(places.manifest)
    rows = tally.counted(track(found, f"frames {places.name}", count))
    write_frames(places.frames, shares.counted(rows), _told(made_with, encoder))
    tally.close(places.ledgers["frames"])
    print("".join(f"{line}\n" for line in shares.lines()), end="")
    return tally


def about(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """The provenance that `extract` would write, without extracting."""
    settings, choice = params.of(FramesSettings, corpus), params.of(FacesSettings, corpus)
    encoder = _encoder(settings, places)
    return _told(_made_with(settings, choice, encoder), encoder)


def _encoder(settings: FramesSettings, places: Places) -> Encoder | None:
    return load(places.encoders["faces"]) if settings.crop == "face" else None


def _made_with(
    settings: FramesSettings, choice: FacesSettings, encoder: Encoder | None
) -> dict[str, Any]:
    """What the pictures depend on, besides the clip and the code."""
    made_with = {
        "extractor": "frames",
        "settings": settings.model_dump(),
        "versions": versions("av", "opencv-python", "numpy"),
    }
    if encoder is None:
        return made_with
    return {**made_with, "faces": choice.model_dump(), "encoder": encoder.identity}


def _told(made_with: dict[str, Any], encoder: Encoder | None) -> dict[str, Any]:
    return made_with if encoder is None else {**made_with, "encoder": encoder.about}


def _faces(choice: FacesSettings, encoder: Encoder | None) -> Faces:
    if encoder is None:
        return Faces(_none, choice.margin, choice.speaker)
    (weights,) = (encoder.folder / name for name in encoder.files)
    detector = FaceDetector(weights, choice.score_threshold)
    return Faces(detector.detect, choice.margin, choice.speaker)


def _none(image: np.ndarray) -> list[Face]:
    return []
