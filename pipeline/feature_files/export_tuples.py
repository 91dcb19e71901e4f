"""The layouts that are pickled tuples: each file is a row of the names of its elements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import PipelineError
from pipeline.base.settings import MODALITIES, Modality
from pipeline.feature_files.by_dialogue import FEATURES, SPEAKERS
from pipeline.feature_files.classes import SENTIMENTS
from pipeline.feature_files.contents import TEXT_LAYERS
from pipeline.feature_files.exported import DIALOGUES, MELD_ID, Exported, Labelled, Written
from pipeline.feature_files.naming import MELD_KEYS
from pipeline.feature_files.tuples import LAYOUTS
from pipeline.feature_files.writing import write_pickle
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import LEARNT, SPLITS

KEYS = {split: (first, count) for split, first, count in MELD_KEYS}
PLACES = 9  # for the speakers of a dialogue
NO_SPEAKERS = "neutral, mmsa, mertools and emobox"


@dataclass(frozen=True)
class TupleLayout:
    """A layout of one corpus.

    Attributes:
        file: Name of the tuple's file.
        row: A layout of `LAYOUTS`, whose row of so many `elements` names what is where.
        expected: Features of text, audio and visual vectors as the code that reads them has it.
        box: What the elements are put into.
        apart: Names of files for the vectors of each modality, in place of which the tuple has
            zeros.
    """

    file: str
    row: str
    elements: int
    expected: tuple[int, ...]
    box: Callable[[list[Any]], Any] = tuple
    apart: Mapping[str, Modality] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the elements, in order."""
        rows = (names.split() for layout, names in LAYOUTS if layout == self.row)
        return next(names for names in rows if len(names) == self.elements)

    @property
    def modalities(self) -> list[Modality]:
        """Those whose vectors it has."""
        return [m for m in MODALITIES if m in self.names]


def _multiemo(elements: int) -> TupleLayout:
    return TupleLayout(SPEAKERS, "mmgcn", elements, (768, 512, 1000), apart=FEATURES)


JOINED = "multi_features_mmgcn_cosmic.pkl"
COSMIC = "features_roberta.pkl"
TUPLES = {
    "mmgcn": {
        "iemocap": TupleLayout("IEMOCAP_features.pkl", "mmgcn", 9, (100, 1582, 342)),
        "meld": TupleLayout("MELD_features_raw1.pkl", "mmgcn", 10, (600, 300, 342)),
    },
    "sdt": {
        "iemocap": TupleLayout("iemocap_multimodal_features.pkl", "sdt", 12, (1024, 1582, 342)),
        "meld": TupleLayout("meld_multimodal_features.pkl", "sdt", 13, (1024, 300, 342)),
    },
    "cfn_esa": {
        "iemocap": TupleLayout(f"iemocap_{JOINED}", "sdt", 12, (1024, 1582, 342)),
        "meld": TupleLayout(f"meld_{JOINED}", "cfn_esa", 14, (1024, 300, 342)),
    },
    "cosmic": {
        "iemocap": TupleLayout(f"iemocap_{COSMIC}", "cosmic", 10, (1024,), list),
        "meld": TupleLayout(f"meld_{COSMIC}", "cosmic", 11, (1024,), list),
        "emorynlp": TupleLayout(f"emorynlp_{COSMIC}", "cosmic", 10, (1024,), list),
    },
    "multiemo": {"iemocap": _multiemo(9), "meld": _multiemo(10)},
}


def write_tuples(layout: str, exported: Exported, folder: Path) -> Written:
    """Write the files of a layout of `TUPLES` that has the kind of the corpus.

    Raises:
        PipelineError: A dialogue has a name or a number of speakers that the layout cannot express,
            or an utterance lacks a sentiment that it needs.
    """
    spec, dialogues = TUPLES[layout][exported.kind], _dialogues(exported)
    names = spec.names
    expected = dict(zip(spec.modalities, spec.expected, strict=True))
    by_dialogue = {key: [t.utterance for t in turns] for key, turns in dialogues.items()}
    vectors = {
        modality: {k: exported.pooled(modality, us, width) for k, us in by_dialogue.items()}
        for modality, width in expected.items()
    }
    if spec.apart:
        for file, modality in spec.apart.items():
            _write(folder / file, vectors[modality])
        blank = {key: np.zeros((len(us), 1), np.float32) for key, us in by_dialogue.items()}
        vectors = dict.fromkeys(vectors, blank)
    # The layers of the text are one object, which the file holds once.
    layers = dict.fromkeys(TEXT_LAYERS, vectors["text"])
    elements = layers | vectors | _lists(dialogues, "valid" in names)
    made = [elements[n] if n in elements else _column(n, exported, dialogues) for n in names]
    _write(folder / spec.file, spec.box(made))
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    return Written(
        files={spec.file: listed} | {file: f"{m} vectors" for file, m in spec.apart.items()},
        classes=exported.classes,
        utterances=[turn.utterance for turn in exported.first_fold],
        modalities=spec.modalities,
        expected=expected,
    )


def _write(path: Path, content: Any) -> None:
    with path.open("wb") as file:
        write_pickle(file, content)


def _dialogues(exported: Exported) -> dict[int | str, list[Labelled]]:
    """The labelled turns of each dialogue, by the name that the layouts give it."""
    dialogues: dict[int | str, list[Labelled]] = {}
    for name, turns in groupby(exported.first_fold, key=lambda turn: turn.utterance.dialogue):
        key = _key(exported.kind, name)
        if key in dialogues:
            raise PipelineError(
                f"{name}: this layout calls it {key}, like a dialogue before. Its scenes are told "
                "apart by season, episode and scene alone: export it as neutral."
            )
        dialogues[key] = list(turns)
    return dialogues


def _key(kind: str, dialogue: str) -> int | str:
    match = DIALOGUES[kind].fullmatch(dialogue)
    if match is None or kind == "iemocap":
        return dialogue
    split, *numbers = match.groups()
    if kind == "emorynlp":
        return "_".join(str(int(number)) for number in numbers)
    first, count = KEYS[split]
    number = int(numbers[0])
    if number >= count:
        raise PipelineError(
            f"{dialogue}: MELD's files know the dialogues 0 to {count - 1} of {split} alone, as "
            "their keys go on with another split. Is this MELD's dyadic split, or a corpus of "
            f"your own? Export it as one of {NO_SPEAKERS}."
        )
    return first + number


def _lists(
    dialogues: Mapping[int | str, Sequence[Labelled]], valid_apart: bool
) -> dict[str, list[int | str]]:
    """The dialogues of each split, sorted; train holds those of valid where there is no list."""
    split_of = {key: turns[0].split for key, turns in dialogues.items()}
    parts = {split: (split,) for split in SPLITS} | ({} if valid_apart else {"train": LEARNT})
    return {n: sorted(k for k, s in split_of.items() if s in part) for n, part in parts.items()}


def _column(
    name: str, exported: Exported, dialogues: Mapping[int | str, Sequence[Labelled]]
) -> dict[int | str, list[Any]] | None:
    """An element that has a fact of each turn, by dialogue; None for one that nobody knows."""
    if name == "unknown":
        return None
    place = {label: number for number, label in enumerate(exported.classes)}
    facts: dict[str, Callable[[Sequence[Labelled]], list[Any]]] = {
        "ids": lambda turns: [_id(t.utterance) for t in turns],
        "speakers": lambda turns: _speakers(exported.kind, [t.utterance for t in turns]),
        "emotion": lambda turns: [place[t.label] for t in turns],
        "sentiment": lambda turns: [_sentiment(t.utterance) for t in turns],
        "sentences": lambda turns: [t.utterance.text for t in turns],
    }
    return {key: facts[name](turns) for key, turns in dialogues.items()}


def _id(u: Utterance) -> int | str:
    """MELD's Utterance_ID as a number; else the id as it is."""
    match = MELD_ID.fullmatch(u.utterance)
    return int(match[3]) if match else u.utterance


def _sentiment(u: Utterance) -> int:
    if u.sentiment not in SENTIMENTS:
        raise PipelineError(
            f"{u.utterance} has the sentiment {u.sentiment!r}, and this layout needs one of "
            f"{SENTIMENTS} of every labelled utterance. Layouts without sentiments: mmgcn, sdt, "
            "multiemo, mertools, emobox, neutral."
        )
    return SENTIMENTS.index(u.sentiment)


def _speakers(kind: str, utterances: Sequence[Utterance]) -> list[Any]:
    """`M` or `F` in IEMOCAP; elsewhere one-hot, numbered as they first speak in the dialogue."""
    if kind == "iemocap":
        return [u.speaker[-1] for u in utterances]
    names = list(dict.fromkeys(u.speaker for u in utterances))
    if len(names) > PLACES:
        raise PipelineError(
            f"{utterances[0].dialogue} has {len(names)} speakers, and this layout has places for "
            f"{PLACES} in a dialogue. Layouts that do not number them: {NO_SPEAKERS}."
        )
    return [
        [int(u.speaker == name) for name in names] + [0] * (PLACES - len(names)) for u in utterances
    ]
