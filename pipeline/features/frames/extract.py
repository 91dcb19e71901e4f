"""Raw video to the frame store: evenly spaced frames, the face cut out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pipeline.base.cache import ClipCache
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.features.common.once import Tally
from pipeline.features.frames.faces import Face, FaceDetector
from pipeline.features.frames.pictures import Faces, FrameMaker, frames_of
from pipeline.features.frames.settings import FacesSettings, FramesSettings
from pipeline.records.frames import PICTURES, Pictures, SpeakerFace, write_frames
from pipeline.records.manifest import count_utterances, stream_manifest
from pipeline.weights.folder import Encoder, load

MEANS: dict[SpeakerFace, str] = {
    "one": "one face",
    "decided": "several, decided by mouth and voice",
    "undecided": "several, undecided: the largest",
    "none": "none: the whole region",
}


class Shares:
    """Counts how the speaker's face was chosen while rows pass by."""

    def __init__(self) -> None:
        self.counts: Counter[SpeakerFace] = Counter()

    def counted(
        self, rows: Iterable[tuple[str, Pictures | None]]
    ) -> Iterator[tuple[str, Pictures | None]]:
        """Passes rows on."""
        for utterance, pictures in rows:
            if pictures is not None:
                self.counts[pictures.speaker] += 1
            yield utterance, pictures

    def lines(self) -> list[str]:
        """A line for each way, with its share; nothing where no face was looked for."""
        total = sum(self.counts[way] for way in MEANS)
        if not total:
            return []
        return [
            f"  faces: {100 * self.counts[way] / total:.1f} % {told} ({self.counts[way]})"
            for way, told in MEANS.items()
        ]


CODE = ("pipeline.features.frames.pictures",)


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
