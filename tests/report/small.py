"""Results of a corpus of a few utterances, written by hand, in the working folder."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base import paths
from pipeline.base.costs import Timing, write_timing
from pipeline.base.display import write_csv
from pipeline.base.files import write_json
from pipeline.corpora.registry import READERS
from pipeline.evaluation.evaluate import labelled_test_set
from pipeline.evaluation.slices import slices
from pipeline.records.features import write_features
from pipeline.records.ledger import Problem, write_ledger
from pipeline.records.manifest import Origin, Utterance, write_manifest
from pipeline.records.predictions import Predictions, SystemPredictions, write_predictions
from pipeline.records.protocol import Entry, Protocol, write_protocol
from tests.conftest import PARAMS
from tests.synthetic import bare_utterance

OVERALL = ("weighted_f1", "macro_f1", "accuracy", "uar")
SPLITS = {"train": "train", "valid": "dev", "test": "test"}
SYSTEMS = ("mcn_cl", "majority", "finetuned_head")
SETTINGS = {"modalities": ["text", "visual"], "learning_rate": 0.125, "psa": True, "mcn": True}


@dataclass(frozen=True)
class Corpus:
    """A small invented corpus.

    Attributes:
        name: A corpus of params.yaml.
        label_set: One of the reader's label sets.
        reader: The corpus' reader.
        full: Whether it should be a whole release.
        speaker: Name of the only speaker.
        folds: Number of folds; the second tests no utterance with a label.
        why: Why finetuned_head is left out.
        adapted: What is adapted of mcn_cl.
    """

    name: str = "demo_meld"
    label_set: str = "emotion"
    reader: str = "meld"
    full: bool = False
    speaker: str = "Ross"
    folds: int = 1
    why: str = "nothing was fine-tuned"
    adapted: str = "misprints corrected"

    @property
    def classes(self) -> tuple[str, ...]:
        return READERS[self.reader].label_set(self.label_set).classes


def lay_out(corpus: Corpus) -> None:
    """Write params.yaml and every file that a report is written from."""
    text = re.sub(
        r"^systems: .*$", f"systems: [{', '.join(SYSTEMS)}]", PARAMS.read_text(), flags=re.M
    )
    Path("params.yaml").write_text(text)
    classes = corpus.classes
    rows = [
        replace(bare_utterance(f"{split}0", turn, classes[turn], official), speaker=corpus.speaker)
        for split, official in SPLITS.items()
        for turn in range(len(classes))
    ]
    write_manifest(paths.manifest(corpus.name), rows, Origin(corpus.reader, corpus.full))
    entries = [
        Entry(fold, split, u.dialogue, u.utterance, u.speaker, label(corpus, fold, split, u))
        for fold in range(corpus.folds)
        for split in SPLITS
        for u in rows
        if u.dialogue == f"{split}0"
    ]
    protocol = Protocol(classes, entries)
    write_protocol(paths.protocol(corpus.name), protocol)
    problems = [Problem(f"train0_{n}", "audio", "cut", f"detail {n}") for n in range(4)]
    for stage in ("manifest", "frames", "audio"):
        write_ledger(paths.ledger(corpus.name, stage), problems if stage == "audio" else [])
    _write_features(corpus.name, rows)
    _write_predictions(corpus, protocol)
    _write_tables(corpus)
    write_timing(corpus.name, "mcn_cl", Timing(75.0, 2.25))


def label(corpus: Corpus, fold: int, split: str, utterance: Utterance) -> int | None:
    if fold and split == "test":
        return None
    return corpus.classes.index(str(utterance.emotion))


def _write_features(corpus: str, rows: list[Utterance]) -> None:
    detector = {"name": "yunet", "licence": "MIT"}
    provenance: dict[str, dict[str, Any]] = {
        "text": {
            "extractor": "text",
            "encoder": {"name": "roberta-base", "revision": "r" * 40, "sha256": "ab" * 32},
            "settings": {"pooling": "cls"},
            "versions": {"torch": "2.0"},
        },
        "visual": {
            "extractor": "visual",
            "encoder": {"name": "resnet101", "revision": "r1"},
            "settings": {"layer": "logits"},
            "versions": {},
            "frames": {"settings": {"count": 4, "crop": "face"}, "encoder": detector, "faces": {}},
        },
    }
    for modality, size, first in (("text", 768, 0), ("visual", 3, 4)):
        vectors = [(u.utterance, np.ones((1, size), np.float32)) for u in rows[first:]]
        gone = [(u.utterance, None) for u in rows[:first]]
        write_features(paths.features(corpus, modality), [*gone, *vectors], provenance[modality])


def _write_predictions(corpus: Corpus, protocol: Protocol) -> None:
    """Of mcn_cl's two seeds one is always right, the other always predicts the first class."""
    test_set = labelled_test_set(protocol)
    predicted = np.stack([test_set.actual, np.zeros_like(test_set.actual)])
    chances = np.eye(len(corpus.classes), dtype=np.float32)[predicted]
    systems = {
        "mcn_cl": SystemPredictions((4, 9), predicted, chances),
        "majority": SystemPredictions((0,), predicted[1:], None),
    }
    about: dict[str, dict[str, Any]] = {
        "mcn_cl": {
            "fidelity": "paper",
            "citation": "Li et al., 2025",
            "commit": "",
            "adapted": corpus.adapted,
            "parameters": 1234567,
            "settings": SETTINGS,
        },
        "majority": {
            "fidelity": "our reading",
            "citation": "the floor",
            "commit": "someone/something@abc",
            "adapted": "",
            "parameters": 0,
            "settings": {"modalities": ["text", "visual"]},
        },
        "finetuned_head": {"fidelity": "code", "citation": "us", "left_out": corpus.why},
    }
    present = dict.fromkeys(test_set.utterances, True)
    for name in SYSTEMS:
        of_system = {name: systems[name]} if name in systems else {}
        for own in of_system.values():
            table = slices(test_set, own, protocol.entries, {"text": present, "visual": present})
            write_csv(paths.metrics(corpus.name, name, "tables", "slices.csv"), table)
        path = paths.predictions(corpus.name, name)
        write_predictions(path, Predictions(test_set, of_system, {name: about[name]}))


def summary(first: float, **more: Any) -> dict[str, Any]:
    """The four overall figures, `first`, `first + 1`, ..., with deviation and interval."""
    figures: dict[str, Any] = {}
    for place, name in enumerate(OVERALL):
        figures[name] = first + place
        figures |= {f"{name}_std": 1.25, f"{name}_low": first - 3, f"{name}_high": first + 7}
    return figures | more


def _write_tables(corpus: Corpus) -> None:
    """metrics.json, with figures that occur nowhere else, and what is drawn by epoch."""
    f1 = {name: 41.11 + place for place, name in enumerate(corpus.classes)}
    metrics = {
        "test": summary(51.51, f1=f1, ece=7.77),
        "validation": summary(61.61),
        "test_selected": summary(71.71),
    }
    if corpus.folds > 1:
        metrics["folds"] = {
            f"fold {n}": summary(81.81 + n, utterances=7) for n in range(corpus.folds)
        }
    floor = {"test": summary(21.21, f1=dict.fromkeys(corpus.classes, 3.33))}
    floor |= {"validation": summary(22.22), "test_selected": summary(21.21)}
    left_out = {"left_out": corpus.why}
    for name, content in zip(SYSTEMS, (metrics, floor, left_out), strict=True):
        path = paths.metrics(corpus.name, name, "metrics.json")
        write_json(path, content)
        epochs = (1, 2, 3) if name == "mcn_cl" else (1,)
        runs = [(0, seed, epoch) for seed in (4, 9) for epoch in epochs]
        history = pd.DataFrame(runs, columns=["fold", "seed", "epoch"])
        curves = pd.concat([history.assign(split=split, weighted_f1=50.0) for split in SPLITS])
        write_csv(
            path.parent / "history.csv",
            history.assign(train_total=3.0, train_cross_entropy=2.0, valid_cross_entropy=2.5),
        )
        write_csv(path.parent / "tables" / "curves.csv", curves.assign(chosen=curves["epoch"] == 2))
