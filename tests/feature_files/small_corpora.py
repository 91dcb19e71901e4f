"""Small corpora to export, with gaps in their ids, missing rows and an unlabelled turn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.corpora.iemocap import LABEL_SETS as IEMOCAP
from pipeline.corpora.meld import LABEL_SETS as MELD
from pipeline.feature_files.exported import Exported
from pipeline.records.features import Features
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import Entry, Protocol
from tests.synthetic import bare_utterance

WIDTHS = {"text": 3, "audio": 2, "visual": 4}
# Dialogue, split, and of each turn: end of its id, speaker, code.
SPEECH = {
    "meld": [
        ("train/dia0", "train", [("_utt0", "Ross", "joy"), ("_utt2", "Zoë, a nurse", "neutral")]),
        ("train/dia61", "train", [("_utt1", "Joey", "anger")]),
        ("dev/dia3", "valid", [("_utt0", "Ross", "fear"), ("_utt1", "Ross", "sadness")]),
        ("test/dia279", "test", [("_utt0", "Rachel", "disgust"), ("_utt1", "Ross", "surprise")]),
    ],
    "iemocap": [
        ("Ses01F_impro01", "train", [("_F000", "Ses01F", "hap"), ("_M000", "Ses01M", "xxx")]),
        ("Ses02M_script01_1", "train", [("_M000", "Ses02M", "exc"), ("_F000", "Ses02F", "neu")]),
        ("Ses04M_impro02", "valid", [("_M001", "Ses04M", "fru"), ("_F003", "Ses04F", "sad")]),
        ("Ses05F_impro03", "test", [("_F001", "Ses05F", "ang"), ("_M000", "Ses05M", "hap")]),
    ],
    "emorynlp": [
        ("train/s01_e02_c03", "train", [("_u001", "Ross", "Joyful"), ("_u004", "Amy", "Mad")]),
        ("dev/s01_e02_c13", "valid", [("_u001", "Joey", "Scared")]),
        ("test/s02_e11_c01", "test", [("_u002", "Joey", "Neutral"), ("_u003", "Amy", "Mad")]),
    ],
    "other": [
        ("call 1", "train", [("/a,1", "Ann", "calm"), ("/b", "Zoë", "angry")]),
        ("call 2", "valid", [("/a,1", "Ann", "angry")]),
        ("call 3", "test", [("/“c”", "Bob", "calm")]),
    ],
}
CLASSES = {
    "meld": MELD["emotion"].classes,
    "iemocap": IEMOCAP["six"].classes,
    "emorynlp": ("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared"),
    "other": ("calm", "angry"),
}
NAMES = {"train": "train", "valid": "dev", "test": "test"}
SENTIMENTS = {"joy": "positive", "neutral": "neutral", "surprise": "positive"}


def corpus(kind: str, speech: Sequence[Any] | None = None, **changes: Any) -> Exported:
    """A corpus whose second utterance lacks audio, and third visual; visual has several frames."""
    classes = CLASSES[kind]
    utterances, entries = [], []
    for dialogue, split, turns in speech or SPEECH[kind]:
        for turn, (end, speaker, code) in enumerate(turns):
            u = bare_utterance(dialogue, turn, code, NAMES[split] if kind != "iemocap" else None)
            session = dialogue[4] if kind == "iemocap" else None
            sentiment = SENTIMENTS.get(code, "negative") if kind == "meld" else None
            text = f"“Well”, said {speaker},\r\n{turn} times"
            name = dialogue + end
            u = replace(u, utterance=name, speaker=speaker, text=text, session=session)
            utterances.append(replace(u, sentiment=sentiment))
            label = classes.index(code) if code in classes else None
            entries.append(Entry(0, split, dialogue, name, speaker, label))
    stores = {modality: store(modality, utterances) for modality in WIDTHS}
    given = {
        "corpus": f"my_{kind}",
        "reader": kind,
        "utterances": utterances,
        "emotions": [u.emotion for u in utterances],
        "label_policy": "consensus",
        "protocol": Protocol(classes, entries),
        "orders": [CLASSES[kind]],
        "stores": stores,
        "made_with": dict.fromkeys(stores, "a net | 2"),
        "trained_on": dict.fromkeys(stores, "none"),
    }
    return Exported(**{**given, **changes})


def store(modality: str, utterances: Sequence[Utterance]) -> Features:
    """Row r holds r, r + 1, ... in its first feature, by frame; others are 0.5, 1, ..."""
    lacking = {"audio": 1, "visual": 2}.get(modality)
    counts = [
        0 if row == lacking else (row % 3 + 1 if modality == "visual" else 1)
        for row in range(len(utterances))
    ]
    values = np.zeros((sum(counts), WIDTHS[modality]), np.float32)
    values[:, 1:] = 0.5 * np.arange(1, WIDTHS[modality])
    values[:, 0] = [row + frame for row, count in enumerate(counts) for frame in range(count)]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    about = {"dimension": WIDTHS[modality]}
    return Features([u.utterance for u in utterances], np.array(counts) > 0, offsets, values, about)
