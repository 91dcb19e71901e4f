"""A small corpus of random features whose labels can be learned, for tests of what comes after."""

from dataclasses import dataclass

import numpy as np

from pipeline.base import paths
from pipeline.corpora.meld import LABEL_SETS
from pipeline.records.features import write_features
from pipeline.records.head import write_head
from pipeline.records.ledger import write_ledger
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from pipeline.records.protocol import Entry, Protocol, write_protocol

CLASSES = LABEL_SETS["emotion"].classes
DIMENSIONS = {"text": 6, "audio": 9, "visual": 5}
NAMES = {"train": "train", "valid": "dev", "test": "test"}


@dataclass(frozen=True)
class Size:
    """Dialogues by split and turns of each."""

    train: int = 8
    valid: int = 4
    test: int = 4
    turns: int = 6


def lay_out(corpus: str, size: Size = Size(), seed: int = 0) -> list[Entry]:
    """Writes manifest, ledgers, protocol and stores of a synthetic corpus below the working folder.

    Every seventh utterance lacks audio, every fifth visual.
    """
    generator = np.random.default_rng(seed)
    entries = [
        Entry(
            fold=0,
            split=split,
            dialogue=f"{split}/dia{dialogue}",
            utterance=f"{split}/dia{dialogue}_utt{turn}",
            speaker=f"s{(dialogue + turn) % 3}",
            label=int(generator.integers(len(CLASSES))),
        )
        for split in ("train", "valid", "test")
        for dialogue in range(getattr(size, split))
        for turn in range(size.turns)
    ]
    rows = [utterance(entry, size.turns) for entry in entries]
    write_manifest(paths.manifest(corpus), rows, Origin("meld", full=False))
    write_protocol(paths.protocol(corpus), Protocol(CLASSES, entries))
    for stage in ("manifest", "frames", "audio"):
        write_ledger(paths.ledger(corpus, stage), [])
    write_head(paths.head(corpus), None)
    for modality, dimension in DIMENSIONS.items():
        rows = [(e.utterance, _vectors(e, n, modality, dimension)) for n, e in enumerate(entries)]
        about = {
            "extractor": modality,
            "settings": {"feature_set": "synthetic"},
            "versions": {},
        }
        write_features(paths.features(corpus, modality), rows, about)
    return entries


def utterance(entry: Entry, turns: int) -> Utterance:
    """The manifest row of an entry."""
    missing = Segment("none.mp4", missing="absent")
    return Utterance(
        utterance=entry.utterance,
        dialogue=entry.dialogue,
        turn=int(entry.utterance.rpartition("utt")[2]) % turns,
        speaker=entry.speaker,
        text=f"word{entry.label} and more",
        video=missing,
        audio=missing,
        emotion=CLASSES[entry.label or 0],
        sentiment="neutral",
        official_split=NAMES[entry.split],
    )


def bare_utterance(
    dialogue: str, turn: int, emotion: str | None = "joy", split: str = "train"
) -> Utterance:
    """A manifest row without media."""
    gone = Segment("a/c.mp4", missing="absent")
    return Utterance(
        utterance=f"{dialogue}_{turn}",
        dialogue=dialogue,
        turn=turn,
        speaker="Ross",
        text="Hi “there”",
        video=gone,
        audio=gone,
        emotion=emotion,
        sentiment="positive",
        official_split=split,
    )


def _vectors(entry: Entry, number: int, modality: str, dimension: int) -> np.ndarray | None:
    if (modality == "audio" and number % 7 == 3) or (modality == "visual" and number % 5 == 2):
        return None
    frames = 1 + number % 4 if modality == "visual" else 1
    vectors = np.random.default_rng(number).normal(size=(frames, dimension))
    vectors[:, (entry.label or 0) % dimension] += 2.5
    return vectors.astype(np.float32)
