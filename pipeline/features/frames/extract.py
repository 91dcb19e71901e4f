"""Raw video to the frame store: evenly spaced frames, the face cut out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.base.cache import ClipCache
from pipeline.base.display import say
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.executors.spread import Needs
from pipeline.features.common.once import (
    Entries,
    Failures,
    Made,
    Outcome,
    Piece,
    Tally,
    media_key,
    outcome,
    pictures_key,
)
from pipeline.features.common.shards import StepOfClips, fill_on_cluster
from pipeline.features.common.without import NEVER, filled, without
from pipeline.features.frames.settings import FacesSettings, FramesSettings
from pipeline.records.frames import PICTURES, WHOLE, SpeakerFace, write_frames
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Utterance, count_utterances
from pipeline.weights.folder import load

CODE = ("pipeline.features.frames.pictures",)
CHOICES: dict[SpeakerFace, str] = {
    "one": "one face",
    "decided": "several, decided by mouth and voice",
    "undecided": "several, undecided: the most prominent",
    "none": "none: the whole region",
}


def extract(params: Params, corpus: str, places: Places) -> Tally:
    """Write the frame store and its ledger; refuse a damaged detector."""
    never = without(places.manifest, "visual", corpus)
    provenance, step = provenance_of(params, corpus, places), step_of(params, corpus, places)
    fill_on_cluster(step_of, step, params, corpus, places)
    outcomes = frames_of(step.rows())
    shown = track(outcomes, f"frames {places.name}", count_utterances(places.manifest))
    tally, choices = Tally("visual"), Counter[SpeakerFace]()
    write_frames(places.frames, _counted(tally.rows(shown), choices), provenance)
    tally.missing -= never
    tally.close(places.ledgers["frames"])
    say("".join(f"{line}\n" for line in shares(choices)), end="")
    return tally


def step_of(params: Params, corpus: str, places: Places) -> StepOfClips:
    """The step that decodes a corpus' videos; refuse a damaged detector."""
    settings, faces = params.of(FramesSettings, corpus), params.of(FacesSettings, corpus)
    provenance, weights = provenance_of(params, corpus, places), None
    if settings.crop == "face":
        encoder = load(places.encoders["faces"])
        (name,) = encoder.files
        weights = encoder.folder / name
    cache = ClipCache("frames", [provenance, code_digest(*CODE)], PICTURES, about=provenance)
    make = FrameMaker(places.raw, settings, faces, weights, cache)
    needs = Needs("frames", reads=places.raw)
    return StepOfClips(places.manifest, Entries(make, cache, CODE), make.files, needs)


def provenance_of(params: Params, corpus: str, places: Places) -> dict[str, Any]:
    """What a frame store's metadata says of it."""
    settings, faces = params.of(FramesSettings, corpus), params.of(FacesSettings, corpus)
    known = {
        "extractor": "frames",
        "settings": settings.model_dump(),
        "versions": versions("av", "opencv-python", "numpy"),
    }
    if settings.crop == "face":
        known |= {"faces": faces.model_dump(), "encoder": load(places.encoders["faces"]).about}
    return known


@dataclass(frozen=True)
class FrameMaker:
    """Makes the cache entries, `PICTURES` rows, of one video's utterances; paths are below `root`.

    The weights are the face detector's; None where no face is looked for.
    """

    root: Path
    settings: FramesSettings
    faces: FacesSettings
    weights: Path | None
    cache: ClipCache

    def __call__(self, pieces: Sequence[Piece]) -> Failures:
        """Put the entry of each piece, all of the same video; return what failed, by key."""
        # Here, so that a run that finds everything in the cache imports no decoder.
        from pipeline.features.frames.faces import FaceDetector
        from pipeline.features.frames.pictures import Faces, put_pictures

        detector = FaceDetector(self.weights or Path(), self.faces.score_threshold)
        faces = Faces(detector.detect, self.faces.margin, self.faces.speaker)
        return put_pictures(pieces, self.root, self.settings, faces, self.cache)

    def files(self, utterances: Iterable[Utterance]) -> Iterator[list[Piece]]:
        """Group the pieces of utterances, in manifest order: those of one video stand together."""
        videos = groupby(utterances, key=lambda u: (u.video or NEVER).path)
        return ([self.piece(u) for u in group] for _, group in videos)

    def piece(self, utterance: Utterance) -> Piece:
        """What an entry is made from: the voice too, where it decides whose face is shown."""
        hears = self.settings.crop == "face" and self.faces.speaker == "mouth"
        video, voice = utterance.video or NEVER, utterance.audio or NEVER
        if hears:
            utterance = filled(utterance)
            return Piece(utterance, video, pictures_key(utterance), [voice])
        return Piece(utterance, video, media_key(video))


def frames_of(entries: Iterable[Made]) -> Iterator[Outcome[pa.RecordBatch]]:
    """Yield the `PICTURES` row of each utterance, and what is to be said of it."""
    for utterance, entry in entries:
        yield _noted(outcome(utterance, "visual", entry))


def _noted(made: Outcome[pa.RecordBatch]) -> Outcome[pa.RecordBatch]:
    """Add the problem of pictures that show no face where one was looked for."""
    if made.value is None or (choice := _choice(made.value)) == "not_looked":
        return made
    boxes = made.value["boxes"][0].as_py()
    whole = sum(box == WHOLE for box in boxes)
    kind, where = "face_in_part", f"another shot in {whole} of {len(boxes)} frames"
    if choice == "none":
        kind, where = "no_face", f"in none of {len(boxes)} frames"
    elif not whole:
        return made
    detail = f"{where}; the whole region is shown"
    return made._replace(problems=[Problem(made.utterance, "visual", kind, detail)])


def _choice(pictures: pa.RecordBatch) -> SpeakerFace:
    choice: SpeakerFace = pictures["speaker"][0].as_py()
    return choice


def _counted(
    rows: Iterable[tuple[str, pa.RecordBatch | None]], choices: Counter[SpeakerFace]
) -> Iterator[tuple[str, pa.RecordBatch | None]]:
    """Count how the speaker's face was chosen while rows pass by."""
    for utterance, pictures in rows:
        if pictures is not None:
            choices[_choice(pictures)] += 1
        yield utterance, pictures


def shares(choices: Counter[SpeakerFace]) -> list[str]:
    """A line for each way of choosing a face, with its share; none where no face was looked for."""
    total = sum(choices[way] for way in CHOICES)
    lines = [
        f"  faces: {100 * choices[way] / total:.1f} % {meaning} ({choices[way]})"
        for way, meaning in CHOICES.items()
        if total
    ]
    decided = choices["decided"]
    if several := decided + choices["undecided"]:
        lines.append(f"  faces: of {several} with several faces, mouth and voice decided {decided}")
    return lines
