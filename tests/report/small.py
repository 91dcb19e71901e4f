"""Results of a corpus of a few utterances, written by hand, in the working folder."""

import json
import shutil
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base import paths
from pipeline.base.display import write_csv
from pipeline.corpora.registry import READERS
from pipeline.records.ledger import Problem, write_ledger
from pipeline.records.manifest import Origin, write_manifest
from pipeline.records.predictions import (
    MODEL,
    ModelPredictions,
    Predictions,
    TestSet,
    write_predictions,
)
from pipeline.records.protocol import Entry, Protocol, write_protocol
from tests.conftest import PARAMS
from tests.synthetic import bare_utterance

OVERALL = ("weighted_f1", "macro_f1", "accuracy", "uar")
SPLITS = {"train": "train", "valid": "dev", "test": "test"}


@dataclass(frozen=True)
class Corpus:
    """A small invented corpus.

    Attributes:
        name: A corpus of params.yaml.
        label_set: One of the reader's label sets.
        reader: The corpus' reader.
        full: Whether it should be a whole release.
        speaker: Name of the only speaker.
        folds: Number of folds; the second tests the same dialogue.
    """

    name: str = "demo_meld"
    label_set: str = "emotion"
    reader: str = "meld"
    full: bool = False
    speaker: str = "Ross"
    folds: int = 1

    @property
    def classes(self) -> tuple[str, ...]:
        return READERS[self.reader].label_set(self.label_set).classes


def lay_out(corpus: Corpus) -> None:
    """Write params.yaml and every file that a report is written from."""
    shutil.copy(PARAMS, ".")
    classes = corpus.classes
    rows = [
        replace(bare_utterance(f"{split}0", turn, classes[turn], official), speaker=corpus.speaker)
        for split, official in SPLITS.items()
        for turn in range(len(classes))
    ]
    write_manifest(paths.manifest(corpus.name), rows, Origin(corpus.reader, corpus.full))
    entries = [
        Entry(fold, split, u.dialogue, u.utterance, u.speaker, classes.index(str(u.emotion)))
        for fold in range(corpus.folds)
        for split in SPLITS
        for u in rows
        if u.dialogue == f"{split}0"
    ]
    write_protocol(paths.protocol(corpus.name), Protocol(classes, entries))
    write_predictions(paths.predictions(corpus.name), _predictions(corpus, entries))
    _write_ledgers(corpus)
    _write_metrics(corpus)


def _predictions(corpus: Corpus, entries: list[Entry]) -> Predictions:
    """Two seeds: the first is always right, the second always predicts the first class."""
    test = [entry for entry in entries if entry.split == "test" and entry.fold == 0]
    labels = np.array([entry.label for entry in test])
    test_set = TestSet(
        corpus.classes,
        tuple(entry.utterance for entry in test),
        tuple(entry.dialogue for entry in test),
        np.zeros(len(test), np.int32),
        labels,
    )
    predicted = np.stack([labels, np.zeros_like(labels)])
    predictions = ModelPredictions(
        (4, 9), predicted, np.eye(len(corpus.classes), dtype=np.float32)[predicted]
    )
    return Predictions(
        test_set, {MODEL: predictions, "majority": ModelPredictions((0,), predicted[1:], None)}
    )


def _write_ledgers(corpus: Corpus) -> None:
    problems = [Problem(f"train0_{n}", "audio", "cut", f"detail {n}") for n in range(4)]
    for stage in ("manifest", "frames", "audio"):
        write_ledger(paths.ledger(corpus.name, stage), problems if stage == "audio" else [])


def summary(first: float, **more: Any) -> dict[str, Any]:
    """The four overall figures, `first`, `first + 1`, ..., with deviation and interval."""
    figures: dict[str, Any] = {}
    for place, name in enumerate(OVERALL):
        figures[name] = first + place
        figures |= {f"{name}_std": 1.25, f"{name}_low": first - 3, f"{name}_high": first + 7}
    return figures | more


def metrics(corpus: Corpus) -> dict[str, Any]:
    """metrics.json, with figures that occur nowhere else."""
    f1 = {name: 41.11 + place for place, name in enumerate(corpus.classes)}
    content = {
        "test": summary(51.51, f1=f1, ece=7.77),
        "validation": summary(61.61),
        "test_selected": summary(71.71),
        "baselines": {"majority": summary(21.21, f1=dict.fromkeys(corpus.classes, 3.33))},
    }
    if corpus.folds > 1:
        content["folds"] = {
            f"fold {n}": summary(81.81 + n, utterances=7) for n in range(corpus.folds)
        }
    return content


def _write_metrics(corpus: Corpus) -> None:
    encoder = {"name": "roberta-base", "revision": "r" * 40, "sha256": "ab" * 32}
    detector = {"name": "yunet", "licence": "MIT"}
    frames = {"settings": {"count": 4, "crop": "face"}, "encoder": detector, "faces": {}}
    run = {
        "features": {
            "text": {
                "extractor": "text",
                "dimension": 768,
                "encoder": encoder,
                "settings": {"pooling": "cls"},
                "versions": {"torch": "2.0"},
            },
            "visual": {
                "extractor": "visual",
                "encoder": {"name": "resnet101"},
                "settings": {"layer": "logits"},
                "versions": {},
                "frames": frames,
            },
        },
        "masked": {"text": 0, "visual": 4},
        "ledger": {"manifest": {}, "frames": {}, "audio": {"audio cut": 4}},
    }
    for name, content in (("metrics.json", metrics(corpus)), ("run.json", run)):
        path = paths.metrics(corpus.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    for name, table in _tables(corpus).items():
        write_csv(paths.metrics(corpus.name, f"{name}.csv"), table)


def _tables(corpus: Corpus) -> dict[str, pd.DataFrame]:
    named = [(c, m) for c in corpus.classes for m in (MODEL, "majority")]
    classes = pd.DataFrame(named, columns=["class", "model"]).assign(
        precision=31.31, recall=32.32, f1=33.33, f1_std=2.25, f1_low=30.0, f1_high=36.0, support=11
    )
    classes.loc[classes["model"] == "majority", ["f1", "f1_std"]] = [8.88, np.nan]
    parts = [("speaker", corpus.speaker), ("emotion shift", "shift"), ("emotion shift", "first")]
    slices = pd.DataFrame(parts, columns=["by", "slice"]).assign(
        utterances=1234, dialogues=5, weighted_f1=44.44, weighted_f1_std=1.5, accuracy=45.45
    )
    slices["weighted_f1_low"], slices["weighted_f1_high"] = [40.0, 41.0, np.nan], [50.0, 51, np.nan]
    bins = {"low": [0.4, 0.9], "high": [0.5, 1.0], "confidence": [0.45, 0.95]}
    reliability = pd.DataFrame({**bins, "accuracy": [0.5, 0.8], "utterances": [3, 11]})
    runs = [(0, seed, epoch) for seed in (4, 9) for epoch in (1, 2, 3)]
    history = pd.DataFrame(runs, columns=["fold", "seed", "epoch"]).assign(
        train_total=3.0, train_cross_entropy=2.0, valid_cross_entropy=2.5
    )
    curves = pd.concat([history.assign(split=split, weighted_f1=50.0) for split in SPLITS])
    return {
        "classes": classes,
        "slices": slices,
        "reliability": reliability,
        "history": history,
        "curves": curves[["fold", "seed", "epoch", "split", "weighted_f1"]],
    }
