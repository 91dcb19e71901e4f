"""Feature stores of test utterances of which one modality is made worse.

Sounds, pictures and texts pass through the encoders, settings and cache of the feature stages. A
corrupted text is in the key of its cache entry as any text is; the level of a corrupted sound or
picture is in the fingerprint. So what was computed once is never computed again, and never
mistaken for clean.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.base.fingerprint import code_digest
from pipeline.base.params import Params
from pipeline.base.paths import Places
from pipeline.base.progress import track
from pipeline.base.settings import ComputeSettings
from pipeline.base.tables import read_provenance
from pipeline.corruption.content import drawn, features_of
from pipeline.corruption.corruptions import Corruption
from pipeline.features.audio import extract as audio
from pipeline.features.audio.settings import AudioSettings
from pipeline.features.audio.smile import Smile
from pipeline.features.text import extract as text
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import window_of
from pipeline.features.visual import extract as visual
from pipeline.features.visual.plan import lacking
from pipeline.features.visual.settings import VisualSettings
from pipeline.features.visual.stream import Encoder, visual_of
from pipeline.records.features import VECTORS, Features, of_utterances
from pipeline.records.frames import VERSION, read_frames
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Utterance, stream_manifest
from pipeline.weights.folder import load

Row = tuple[str, np.ndarray | None]
Extract = Callable[[Sequence[Utterance], Corruption, float], Iterable[Row]]
"""[frame, feature] of utterances that have the modality, in manifest order, once corrupted: mostly
`CorruptedRows`."""


@dataclass(frozen=True)
class CorruptedRows:
    """Rows of one step of a corruption, made by `make` as they are asked for."""

    make: Callable[[], Iterable[Row]]
    lacking: Callable[[], Iterable[str]]
    """Keys of what the cache lacks for them."""

    def __iter__(self) -> Iterator[Row]:
        return iter(self.make())


CORRUPTING = "pipeline.corruption.content"
# What a sound may lack once it is corrupted: openSMILE finds no pitch in silence, for example.
NO_FEATURES = "not_finite"


def corrupted_store(
    utterances: Sequence[Utterance],
    clean: Features,
    corruption: Corruption,
    level: float,
    extract: Extract | None,
) -> Features:
    """A store of some utterances, in manifest order, made worse where they have the modality.

    `extract` is None where the corruption is the modality's absence, which computes nothing.

    Raises:
        PipelineError: What is to be corrupted is gone, or of another run than the features.
    """
    names, there = [u.utterance for u in utterances], having(utterances, clean)
    if extract is None:
        vectors = _without(clean, [u.utterance for u in there], corruption, level)
    else:
        vectors = dict(extract(there, corruption, level))
        _check_same(there, vectors, corruption.modality)
    cells = [vectors.get(name) for name in names]
    present = [cell for cell in cells if cell is not None]
    return Features(
        utterances=names,
        present=np.array([cell is not None for cell in cells]),
        offsets=np.cumsum([0, *(0 if cell is None else len(cell) for cell in cells)]),
        values=np.concatenate([np.zeros((0, clean.dimension), np.float32), *present]),
        provenance=clean.provenance,
    )


def having(utterances: Sequence[Utterance], store: Features) -> list[Utterance]:
    """Those of some utterances that a store has a vector of."""
    rows = of_utterances(store, [u.utterance for u in utterances])
    return [u for u, row in zip(utterances, rows, strict=True) if store.present[row]]


def corrupted_texts(
    utterances: Sequence[Utterance], store: Features, corruption: Corruption, level: float
) -> dict[str, str]:
    """The words of utterances, for systems that read words; `store` has the corrupted modality."""
    if corruption.modality != "text":
        return {u.utterance: u.text for u in utterances}
    corrupt = corruption.at(level) if corruption.apply else None
    present = dict(zip(store.utterances, store.present, strict=True))
    texts = ((u.utterance, corrupt(u).text if corrupt else u.text) for u in utterances)
    return {name: text if present[name] else "" for name, text in texts}


def _without(
    clean: Features, having: Sequence[str], corruption: Corruption, percent: float
) -> dict[str, np.ndarray | None]:
    """Clean vectors of the utterances that keep the modality."""
    gone = drawn(having, percent, corruption.modality, corruption.name)
    rows = of_utterances(clean, having)
    cut = (clean.values[clean.offsets[row] : clean.offsets[row + 1]] for row in rows)
    return {name: vectors for name, vectors in zip(having, cut, strict=True) if name not in gone}


def _check_same(having: Sequence[Utterance], vectors: Mapping[str, Any], modality: str) -> None:
    if lacking := [u.utterance for u in having if u.utterance not in vectors]:
        raise PipelineError(
            f"{modality} of {len(lacking)} test utterances is nowhere to be found, such as that of "
            f"{lacking[0]}, though it has features: manifest, frames and features are not of the "
            "same run. Run `dvc repro`."
        )


def extractors(
    params: Params, corpus: str, places: Places, modalities: Iterable[str]
) -> dict[str, Extract]:
    """What makes corrupted features of a corpus, by modality; its encoders are needed."""
    makers = {"text": _texts, "audio": _sounds, "visual": _pictures}
    return {m: makers[m](params, corpus, places) for m in modalities}


def _texts(params: Params, corpus: str, places: Places) -> Extract:
    """Texts by a text encoder; the turns before are corrupted like the turn itself."""
    window = window_of(params.of(TextSettings, corpus))

    def extract(utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Any:
        # Also turns that no protocol has are read before others.
        dialogues = {u.dialogue for u in utterances}
        whole = (u for u in stream_manifest(places.manifest) if u.dialogue in dialogues)
        corrupted: list[Utterance] = list(map(corruption.at(level), whole))
        reader = text.reader_of(params, corpus, places, _label(places, corruption, level))
        wanted = {u.utterance for u in utterances}

        def rows() -> Iterator[Row]:
            vectors = text.text_of(corrupted, window, reader)
            return (row for row in text.with_words(corrupted, vectors) if row[0] in wanted)

        return CorruptedRows(rows, partial(text.lacking, corrupted, window, reader))

    return extract


def _sounds(params: Params, corpus: str, places: Places) -> Extract:
    """Sounds by openSMILE or by a speech encoder."""
    settings, compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
    about = audio.provenance_of(params, corpus, places)
    encode = audio.encoding(places.encoders["audio"], settings, compute)

    def extract(utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Any:
        corrupt = corruption.at(level)
        cache = _cache(about, audio.CODE[settings.extractor], corruption, level)
        if settings.extractor == "opensmile":
            smile = Smile(settings.feature_set, settings.level)
            corrupted = partial(features_of, corrupt=corrupt, extract=smile.extract)
            entries = audio.opensmile_entries(places.raw, corrupted, cache)
        else:
            entries = audio.speech_entries(places.raw, lambda s: encode(corrupt(s)), cache)
        pieces = [piece for (piece,) in audio.sounds(utterances)]

        def rows() -> Iterator[Row]:
            made = audio.audio_of(entries.of([piece] for piece in pieces))
            checked = (_checked(*outcome) for outcome in made)
            return track(checked, _label(places, corruption, level), len(utterances))

        return CorruptedRows(rows, lambda: (piece.key for piece in pieces if entries.lacks(piece)))

    return extract


def _checked(utterance: str, vectors: np.ndarray | None, problems: Sequence[Problem]) -> Row:
    for problem in problems:
        if problem.kind != NO_FEATURES:
            raise PipelineError(
                f"{utterance} has features in the audio store, but its sound cannot be corrupted: "
                f"{problem.kind}: {problem.detail}. Put the raw files back where they were when "
                "`dvc repro` read them."
            )
    return utterance, vectors


def _pictures(params: Params, corpus: str, places: Places) -> Extract:
    """Stored pictures by an image network."""
    settings, compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
    stored = read_provenance(places.frames, VERSION)
    about = visual.provenance_of(params, corpus, places, stored)
    network = visual.network(load(places.encoders["visual"]), settings, compute)

    def extract(utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Any:
        wanted = {u.utterance for u in utterances}
        # The frame store has the manifest's order.
        everyone = enumerate(stream_manifest(places.manifest))
        numbers = {number for number, u in everyone if u.utterance in wanted}
        encoder = CorruptedPictures(corruption.at(level), network)
        cache = _cache(about, visual.CODE, corruption, level)
        frames = partial(read_frames, places.frames, numbers)

        def rows() -> Iterator[Row]:
            vectors = visual_of(frames, encoder, cache)
            return track(vectors, _label(places, corruption, level), len(utterances))

        return CorruptedRows(rows, lambda: lacking(frames(), cache))

    return extract


class CorruptedPictures:
    """An encoder of pictures, to worse ones by `corrupt`, then to vectors by `encoder`.

    Pictures are corrupted when they are decoded, so that the key of a cache entry is that of the
    stored pictures, and what the cache has is not corrupted only to be looked up.
    """

    def __init__(self, corrupt: Callable[[Any], Any], encoder: Encoder) -> None:
        self.corrupt, self.encoder = corrupt, encoder
        self.batch_size = encoder.batch_size

    def room(self) -> np.ndarray:
        """Where to put the pictures of a batch."""
        return self.encoder.room()

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Corrupt a batch in its place and start on it."""
        for picture in batch:
            picture[:] = self.corrupt(picture)
        return self.encoder.start(batch)


def _label(places: Places, corruption: Corruption, level: float) -> str:
    """For progress displays."""
    return f"{places.name}, {corruption.title} {corruption.step(level)}"


def _cache(
    about: dict[str, Any], code: Sequence[str], corruption: Corruption, level: float
) -> ClipCache:
    """The entries of sounds or pictures corrupted in one step."""
    settings = about["settings"] | {corruption.name: corruption.step(level)}
    corrupted = about | {"settings": settings}
    fingerprint = [corrupted, code_digest(*code, CORRUPTING)]
    return ClipCache(corruption.modality, fingerprint, VECTORS, about=corrupted)
