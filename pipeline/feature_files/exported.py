"""A corpus as it is exported: its turns with their classes, splits and vectors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Modality
from pipeline.records.features import FLOATS, Features, of_utterances
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import Protocol

# The corpora that layouts know, by the names of their dialogues.
DIALOGUES = {
    "iemocap": re.compile(r"Ses0[1-5][FM]_\w+"),
    "meld": re.compile(r"(train|dev|test)/dia([0-9]+)"),
    "emorynlp": re.compile(r"(train|dev|test)/s([0-9]+)_e([0-9]+)_c([0-9]+)"),
}
ACTOR = re.compile(r"Ses0[1-5][FM]")
MELD_ID = re.compile(r"(train|dev|test)/(dia[0-9]+_utt([0-9]+))")
OTHER = "other"


@dataclass(frozen=True)
class Labelled:
    """An utterance that has a class in a fold."""

    utterance: Utterance
    label: str  # name of its class
    split: str  # `train`, `valid` or `test`


@dataclass(frozen=True)
class Exported:
    """A corpus as it is exported.

    Attributes:
        corpus: Name in params.yaml.
        reader: Whose labels it has, a name of `pipeline/corpora/registry.py`.
        utterances: All of the manifest.
        emotions: The raw emotion code of each that counts by the label policy.
        label_policy: Its name.
        protocol: Labels and splits.
        orders: Classes of the corpus' label sets, each in the field's order.
        stores: By modality, those that hold anything.
        made_with: What each store's vectors were made with, in words.
        trained_on: Whose labels each store's encoder has seen.
    """

    corpus: str
    reader: str
    utterances: Sequence[Utterance]
    emotions: Sequence[str | None]
    label_policy: str
    protocol: Protocol
    orders: Sequence[Sequence[str]]
    stores: Mapping[Modality, Features]
    made_with: Mapping[Modality, str]
    trained_on: Mapping[Modality, str]

    @cached_property
    def kind(self) -> str:
        """Whose names its dialogues have: `iemocap`, `meld`, `emorynlp` or `other`."""
        for kind, pattern in DIALOGUES.items():
            if all(pattern.fullmatch(u.dialogue) for u in self.utterances):
                actors = all(ACTOR.fullmatch(u.speaker) for u in self.utterances)
                return kind if actors or kind != "iemocap" else OTHER
        return OTHER

    @cached_property
    def classes(self) -> Sequence[str]:
        """The protocol's classes, in the field's order where it has one."""
        ours = self.protocol.classes
        return next((order for order in self.orders if set(order) == set(ours)), ours)

    @cached_property
    def first_fold(self) -> list[Labelled]:
        """The labelled turns of the first fold, in the manifest's order."""
        return self.labelled(self.protocol.folds[0])

    def labelled(self, fold: int) -> list[Labelled]:
        """The labelled turns of a fold, in the manifest's order.

        Raises:
            PipelineError: The protocol is of another manifest.
        """
        entries = {e.utterance: e for e in self.protocol.entries if e.fold == fold}
        known = {u.utterance for u in self.utterances}
        if strangers := [name for name in entries if name not in known]:
            raise PipelineError(
                f"The protocol of {self.corpus} has {len(strangers)} utterances that its manifest "
                f"lacks, such as {strangers[0]}: run `dvc repro`."
            )
        return [
            Labelled(u, self.protocol.classes[entry.label], entry.split)
            for u in self.utterances
            if (entry := entries.get(u.utterance)) is not None and entry.label is not None
        ]

    @cached_property
    def _rows(self) -> dict[str, dict[str, int]]:
        ids = [u.utterance for u in self.utterances]
        places = {m: of_utterances(store, ids).tolist() for m, store in self.stores.items()}
        return {m: dict(zip(ids, rows, strict=True)) for m, rows in places.items()}

    def vectors(self, modality: Modality, utterance: Utterance) -> np.ndarray:
        """[frame, feature] of an utterance, without frames where the modality is missing."""
        if modality not in self.stores:
            return np.zeros((0, 0), FLOATS)
        store, row = self.stores[modality], self._rows[modality][utterance.utterance]
        values: np.ndarray = store.values[store.offsets[row] : store.offsets[row + 1]]
        return values

    def width(self, modality: Modality, expected: int = 1) -> int:
        """Features of a vector; `expected` where the modality was not extracted."""
        return self.stores[modality].dimension if modality in self.stores else expected

    def pooled(
        self, modality: Modality, utterances: Sequence[Utterance], expected: int = 1
    ) -> np.ndarray:
        """[utterance, feature] float32: means over frames; zeros where the modality is missing."""
        pooled = np.zeros((len(utterances), self.width(modality, expected)), FLOATS)
        for row, utterance in enumerate(utterances):
            frames = self.vectors(modality, utterance)
            if len(frames):
                pooled[row] = frames.mean(axis=0, dtype=np.float64)
        return pooled


@dataclass(frozen=True)
class Written:
    """What was written in a layout.

    Attributes:
        files: What each file or folder holds.
        classes: By number; empty where the files hold names.
        utterances: Those that were written.
        modalities: Those of the layout.
        expected: Features of a vector that the code which reads the files has fixed.
        remarks: What a user should know, in sentences.
    """

    files: Mapping[str, str]
    classes: Sequence[str]
    utterances: Sequence[Utterance]
    modalities: Sequence[Modality]
    expected: Mapping[Modality, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()
