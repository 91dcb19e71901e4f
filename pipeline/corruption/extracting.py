"""Corrupted sounds, pictures and texts to features: the steps' extractors, settings and cache.

A corrupted text is in the key of its entry as any text is; the level of a corrupted sound or
picture is in the fingerprint. So what was computed once is never computed again, and never
mistaken for clean.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.base.fingerprint import code_digest
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.base.tables import read_provenance
from pipeline.corruption.corruptions import Corruption, Step
from pipeline.corruption.wrapped import CorruptedPictures, CorruptedSound
from pipeline.features.audio import extract as audio
from pipeline.features.audio.extract import audio_of, opensmile_entries, speech_entries
from pipeline.features.audio.settings import AudioSettings
from pipeline.features.audio.smile import Smile
from pipeline.features.common.once import Entries
from pipeline.features.text import extract as text
from pipeline.features.text.extract import text_of
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import window_of
from pipeline.features.visual import extract as visual
from pipeline.features.visual.settings import VisualSettings
from pipeline.features.visual.stream import visual_of
from pipeline.records.features import VECTORS, Features
from pipeline.records.frames import VERSION, read_frames
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Utterance, stream_manifest
from pipeline.training.checkpoint import differences
from pipeline.weights.folder import load

Row = tuple[str, np.ndarray | None]
Rows = Iterable[Row]
CORRUPTING = {
    "audio": ("pipeline.corruption.draws", "pipeline.corruption.sound"),
    "visual": ("pipeline.corruption.draws", "pipeline.corruption.picture"),
}
# What a sound may lack once it is corrupted: openSMILE finds no pitch in silence, for example.
NO_FEATURES = "not_finite"


class Extractor(Protocol):
    """A modality's extractor as params.yaml has it."""

    about: dict[str, Any]
    """Provenance, as the modality's feature store has it, but for the dimension."""

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of utterances that have the modality, in manifest order, once corrupted.

        Shows how far along it is.
        """


Extractors = Mapping[str, Extractor]


def extractors(
    params: Params, corpus: str, places: Places, stores: Mapping[str, Features]
) -> Extractors:
    """The extractors that made feature stores.

    Args:
        params: The checked params.yaml.
        corpus: Whose settings are used.
        places: Where its files lie.
        stores: By modality.

    Raises:
        PipelineError: An encoder folder is missing or damaged, or settings or encoders are not
            those that the stores were made with: every difference is named.
    """
    kinds: dict[str, Callable[[Params, str, Places], Extractor]] = {
        "text": TextExtractor,
        "audio": AudioExtractor,
        "visual": VisualExtractor,
    }
    extractors = {modality: kinds[modality](params, corpus, places) for modality in stores}
    made = {modality: store.provenance for modality, store in stores.items()}
    # As JSON gives it back; the dimension is known once something is extracted.
    here = {
        modality: json.loads(json.dumps(extractor.about))
        | {"dimension": made[modality]["dimension"]}
        for modality, extractor in extractors.items()
    }
    if different := differences(made, here):
        raise PipelineError(
            f"{corpus}: the feature stores were made with other settings or encoders than these:\n"
            + "\n".join(f"  {line}" for line in different)
            + "\nRun `dvc repro`, so that clean and corrupted features are made alike."
        )
    return extractors


class TextExtractor:
    """Texts by a text encoder; the turns before are corrupted like the turn itself."""

    def __init__(self, params: Params, corpus: str, places: Places) -> None:
        self.params, self.corpus, self.places = params, corpus, places
        self.settings = params.of(TextSettings, corpus)
        self.about = text.provenance_of(params, corpus, places)

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of the utterances' texts once corrupted; None where no word is left."""
        # Also turns that no protocol has are read before others.
        dialogues = {u.dialogue for u in utterances}
        whole = (u for u in stream_manifest(self.places.manifest) if u.dialogue in dialogues)
        corrupted: list[Utterance] = list(map(corruption.at(level), whole))
        label = f"{self.places.name}, {corruption.title(level)}"
        reader = text.reader_of(self.params, self.corpus, self.places, label)
        read = text_of(corrupted, window_of(self.settings), reader)
        wanted = {u.utterance for u in utterances}
        return (row for row in text.with_words(corrupted, read) if row[0] in wanted)


class AudioExtractor:
    """Sounds by openSMILE or by a speech encoder."""

    def __init__(self, params: Params, corpus: str, places: Places) -> None:
        self.places = places
        self.settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
        self.about = audio.provenance_of(params, corpus, places)
        self._encode = audio.encoding(places.encoders["audio"], self.settings, compute)

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of the utterances' sounds once corrupted; None where there are none then.

        Raises:
            PipelineError: A sound that has features cannot be decoded.
        """
        cache = _cache(self.about, audio.CODE[self.settings.extractor], corruption, level)
        outcomes = audio_of(utterances, self._entries(corruption.at(level), cache))
        rows = (_checked(*outcome) for outcome in outcomes)
        return track(rows, f"{self.places.name}, {corruption.title(level)}", len(utterances))

    def _entries(self, step: Step, cache: ClipCache) -> Entries:
        if self.settings.extractor == "opensmile":
            smile = Smile(self.settings.feature_set, self.settings.level)
            return opensmile_entries(self.places.raw, CorruptedSound(step, smile.extract), cache)
        return speech_entries(self.places.raw, lambda sound: self._encode(step(sound)), cache)


def _checked(utterance: str, vectors: np.ndarray | None, problems: Sequence[Problem]) -> Row:
    for problem in problems:
        if problem.kind != NO_FEATURES:
            raise PipelineError(
                f"{utterance} has features in the audio store, but its sound cannot be corrupted: "
                f"{problem.kind}: {problem.detail}. Put the raw files back where they were when "
                "`dvc repro` read them."
            )
    return utterance, vectors


class VisualExtractor:
    """Stored pictures by an image network."""

    def __init__(self, params: Params, corpus: str, places: Places) -> None:
        self.places = places
        settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
        pictures = read_provenance(places.frames, VERSION)
        self.about = visual.provenance_of(params, corpus, places, pictures)
        encoder = load(places.encoders["visual"])
        self._network = visual.network(encoder, settings, compute)

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of the utterances' stored pictures once corrupted."""
        wanted = {u.utterance for u in utterances}
        # The frame store has the manifest's order.
        everyone = enumerate(stream_manifest(self.places.manifest))
        numbers = {number for number, u in everyone if u.utterance in wanted}
        network = CorruptedPictures(corruption.at(level), self._network)
        cache = _cache(self.about, visual.CODE, corruption, level)
        vectors = visual_of(partial(read_frames, self.places.frames, numbers), network, cache)
        return track(vectors, f"{self.places.name}, {corruption.title(level)}", len(utterances))


def _cache(
    about: dict[str, Any], code: Sequence[str], corruption: Corruption, level: float
) -> ClipCache:
    """The entries of sounds or pictures corrupted in one step."""
    settings = about["settings"] | {corruption.name: corruption.called(level)}
    corrupted = about | {"settings": settings}
    fingerprint = [corrupted, code_digest(*code, *CORRUPTING[corruption.modality])]
    return ClipCache(corruption.modality, fingerprint, VECTORS, about=corrupted)
