"""Corrupted sounds, pictures and texts to features: the stages' extractors, settings and cache.

A corrupted text is in the key of its entry as any text is; the step of a corrupted sound or picture
is in the fingerprint. So what was computed once is never computed again, and never mistaken for
clean.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from pipeline import paths
from pipeline.cache import ClipCache
from pipeline.corruption.corruptions import Corruption, Step
from pipeline.corruption.wrapped import CorruptedPictures, CorruptedSound
from pipeline.errors import PipelineError
from pipeline.extraction.audio import AudioMaker, Found, audio_of
from pipeline.extraction.speech import Decoder, speech_of
from pipeline.extraction.text import text_of
from pipeline.extraction.vectors import VECTORS
from pipeline.extraction.visual import OnDemand, visual_of
from pipeline.extractors.audio import Smile
from pipeline.extractors.device import (
    arithmetic,
    picture_backend,
    resolve_device,
    set_threads,
)
from pipeline.extractors.speech import SpeechEncoder
from pipeline.extractors.text import TextEncoder
from pipeline.extractors.turns import Turn
from pipeline.extractors.visual import ImageEncoder
from pipeline.features import Features
from pipeline.fingerprint import code_digest, versions
from pipeline.frames import read_frames
from pipeline.ledger import Problem
from pipeline.manifest import Utterance, stream_manifest
from pipeline.params import Params
from pipeline.progress import track
from pipeline.settings.audio import AudioSettings
from pipeline.settings.compute import ComputeSettings
from pipeline.settings.text import TextSettings
from pipeline.settings.visual import VisualSettings
from pipeline.training.checkpoint import differences
from pipeline.weights.folder import load

Row = tuple[str, np.ndarray | None]
Rows = Iterable[Row]
SOUND = ("pipeline.extraction.sound", "pipeline.media.audio", "pipeline.media.opening")
CODE = {
    "text": (
        "pipeline.extraction.text",
        "pipeline.extractors.pretrained",
        "pipeline.extractors.text",
        "pipeline.extractors.tokens",
        "pipeline.extractors.turns",
    ),
    "opensmile": ("pipeline.extraction.audio", "pipeline.extractors.audio", *SOUND),
    "speech": (
        "pipeline.extraction.speech",
        "pipeline.extractors.pretrained",
        "pipeline.extractors.speech",
        *SOUND,
    ),
    "visual": (
        "pipeline.extraction.batches",
        "pipeline.extraction.seen",
        "pipeline.extraction.visual",
        "pipeline.extractors.backends",
        "pipeline.extractors.images",
        "pipeline.extractors.networks",
        "pipeline.extractors.visual",
    ),
}
CORRUPTING = {
    "audio": ("pipeline.corruption.draws", "pipeline.corruption.sound"),
    "visual": ("pipeline.corruption.draws", "pipeline.corruption.picture"),
}
# What a sound may lack once it is corrupted: openSMILE finds no pitch in silence, for example.
NO_FEATURES = "not_finite"
PACKAGES = {
    "torch": ("torch", "torchvision"),
    "onnxruntime": ("torch", "torchvision", "onnxruntime", "onnxscript"),
}


class Extractor(Protocol):
    """A modality's extractor as params.yaml has it."""

    about: dict[str, Any]
    """Provenance, as the modality's feature store has it, but for the dimension."""

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of utterances that have the modality, in manifest order, once corrupted.

        Shows how far along it is.
        """


Extractors = Mapping[str, Extractor]


def extractors(params: Params, corpus: str, stores: Mapping[str, Features]) -> Extractors:
    """The extractors that made feature stores.

    Args:
        params: The checked params.yaml.
        corpus: Which.
        stores: By modality.

    Raises:
        PipelineError: An encoder folder is missing or damaged, or settings or encoders are not
            those that the stores were made with: every difference is named.
    """
    kinds: dict[str, Callable[[Params, str], Extractor]] = {
        "text": TextExtractor,
        "audio": AudioExtractor,
        "visual": VisualExtractor,
    }
    found = {modality: kinds[modality](params, corpus) for modality in stores}
    made = {modality: store.about for modality, store in stores.items()}
    # As JSON gives it back; the dimension is known once something is extracted.
    here = {
        modality: json.loads(json.dumps(extractor.about))
        | {"dimension": made[modality]["dimension"]}
        for modality, extractor in found.items()
    }
    if different := differences(made, here):
        raise PipelineError(
            f"{corpus}: the feature stores were made with other settings or encoders than these:\n"
            + "\n".join(f"  {line}" for line in different)
            + "\nRun `dvc repro`, so that clean and corrupted features are made alike."
        )
    return found


class TextExtractor:
    """Texts by a text encoder; the turns before are corrupted like the turn itself."""

    def __init__(self, params: Params, corpus: str) -> None:
        self.corpus, self.manifest = corpus, paths.manifest(corpus)
        self.settings, self.compute = params.of(TextSettings, corpus), params.of(ComputeSettings)
        self.device = resolve_device(self.compute.device)
        self.encoder = load(paths.encoder(corpus, "text"))
        self.about = {
            "extractor": "text",
            "settings": self.settings.model_dump(),
            "compute": arithmetic(self.device, self.compute.threads, self.compute.precision),
            "encoder": self.encoder.about,
            "versions": versions("torch", "transformers", "tokenizers", "numpy"),
        }

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of the utterances' texts once corrupted."""
        # Also turns that no protocol has are read before others.
        dialogues = {u.dialogue for u in utterances}
        whole = (u for u in stream_manifest(self.manifest) if u.dialogue in dialogues)
        corrupted = map(corruption.at(level), whole)
        label = f"{self.corpus}, {corruption.title(level)}"
        encode = partial(self._encode, label)
        found = text_of(corrupted, self.settings.context_turns, encode, self._cache())
        wanted = {u.utterance for u in utterances}
        return ((utterance, vectors) for utterance, vectors in found if utterance in wanted)

    def _cache(self) -> ClipCache:
        # The same as the stage's: an entry is named after what is read.
        reading = self.settings.model_dump(exclude={"encoder", "context_turns"})
        parts = [reading, self.about["compute"], self.encoder.digest, self.about["versions"]]
        code = code_digest(*CODE["text"])
        return ClipCache("text", [*parts, code], VECTORS, about=self.about)

    def _encode(self, label: str, turns: Sequence[Turn]) -> Iterable[tuple[int, np.ndarray]]:
        if not turns:
            return []
        set_threads(self.compute.threads)
        return track(self._network.encode(turns), label, len(turns))

    @cached_property
    def _network(self) -> TextEncoder:
        return TextEncoder(
            folder=self.encoder.folder,
            pooling=self.settings.pooling,
            max_tokens=self.settings.max_tokens,
            device=self.device,
            precision=self.compute.precision,
            tokens_per_batch=self.settings.tokens_per_batch,
        )


class AudioExtractor:
    """Sounds by openSMILE or by a speech encoder."""

    def __init__(self, params: Params, corpus: str) -> None:
        self.corpus, self.raw = corpus, paths.raw(corpus)
        self.settings, self.compute = params.of(AudioSettings, corpus), params.of(ComputeSettings)
        self.about = self._opensmile() if self._by_opensmile else self._speech(corpus)

    @property
    def _by_opensmile(self) -> bool:
        return self.settings.extractor == "opensmile"

    def _opensmile(self) -> dict[str, Any]:
        self.smile = Smile(self.settings.feature_set, self.settings.level)
        return {
            "extractor": "opensmile",
            "settings": self.settings.model_dump(include={"feature_set", "level"}),
            "versions": versions("av", "opensmile", "numpy"),
        }

    def _speech(self, corpus: str) -> dict[str, Any]:
        self.encoder = load(paths.encoder(corpus, "audio"))
        self.device = resolve_device(self.compute.device)
        return {
            "extractor": "speech",
            "settings": self.settings.model_dump(include={"encoder", "layers"}),
            "compute": arithmetic(self.device, self.compute.threads, self.compute.precision),
            "encoder": self.encoder.about,
            "versions": versions("av", "torch", "transformers", "numpy"),
        }

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of the utterances' sounds once corrupted; None where there are none then.

        Raises:
            PipelineError: A sound that has features cannot be decoded.
        """
        cache = _cache(self.about, self.settings.extractor, corruption, level)
        found = self._found(utterances, corruption.at(level), cache)
        rows = (_checked(*one) for one in found)
        return track(rows, f"{self.corpus}, {corruption.title(level)}", len(utterances))

    def _found(
        self, utterances: Sequence[Utterance], step: Step, cache: ClipCache
    ) -> Iterable[Found]:
        if self._by_opensmile:
            make = AudioMaker(self.raw, CorruptedSound(step, self.smile.extract), cache)
            return audio_of(utterances, make)
        set_threads(self.compute.threads)

        def encode(samples: np.ndarray) -> np.ndarray:
            return self._network.encode(step(samples))

        return speech_of(utterances, Decoder(self.raw), encode, cache)

    @cached_property
    def _network(self) -> SpeechEncoder:
        return SpeechEncoder(
            folder=self.encoder.folder,
            layers=self.settings.layers,
            device=self.device,
            precision=self.compute.precision,
        )


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

    def __init__(self, params: Params, corpus: str) -> None:
        self.corpus = corpus
        self.manifest, self.frames = paths.manifest(corpus), paths.frames(corpus)
        self.settings, self.compute = params.of(VisualSettings, corpus), params.of(ComputeSettings)
        self.device = resolve_device(self.compute.device)
        backend = picture_backend(self.device, self.settings.backend)
        self.encoder = load(paths.encoder(corpus, "visual"))
        self.about = {
            "extractor": "visual",
            "settings": self.settings.model_dump(exclude={"backend"}),
            "compute": {
                "backend": backend,
                **arithmetic(self.device, self.compute.threads, self.compute.precision),
            },
            "encoder": self.encoder.about,
            "versions": versions(*PACKAGES[backend], "opencv-python", "numpy"),
        }
        self._network = OnDemand(self._made, self.settings.batch_size)

    def rows(self, utterances: Sequence[Utterance], corruption: Corruption, level: float) -> Rows:
        """Features of the utterances' stored pictures once corrupted."""
        set_threads(self.compute.threads)
        wanted = {u.utterance for u in utterances}
        everyone = enumerate(stream_manifest(self.manifest))  # the frame store has this order
        numbers = {number for number, u in everyone if u.utterance in wanted}
        network = CorruptedPictures(corruption.at(level), self._network)
        cache = _cache(self.about, "visual", corruption, level)
        found = visual_of(partial(read_frames, self.frames, numbers), network, cache)
        return track(found, f"{self.corpus}, {corruption.title(level)}", len(utterances))

    def _made(self) -> ImageEncoder:
        (weights,) = (self.encoder.folder / name for name in self.encoder.files)
        return ImageEncoder(
            architecture=self.encoder.architecture,
            weights=weights,
            layer=self.settings.layer,
            device=self.device,
            precision=self.compute.precision,
            batch_size=self.settings.batch_size,
            backend=self.settings.backend,
            threads=self.compute.threads,
        )


def _cache(about: dict[str, Any], code: str, corruption: Corruption, level: float) -> ClipCache:
    """The entries of sounds or pictures corrupted in one step."""
    settings = about["settings"] | {corruption.name: corruption.called(level)}
    corrupted = about | {"settings": settings}
    fingerprint = [corrupted, code_digest(*CODE[code], *CORRUPTING[corruption.modality])]
    return ClipCache(corruption.modality, fingerprint, VECTORS, about=corrupted)
