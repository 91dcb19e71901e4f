"""Weighted F1 by epoch and split, by hand."""

import numpy as np
import pandas as pd

from pipeline.evaluation.tables import CURVES, f1_curves
from pipeline.records.epochs import EpochPrediction
from pipeline.records.protocol import Entry, Protocol

LABELS = {"u0": 0, "u1": 1, "u2": None}
PROTOCOL = Protocol(
    ("a", "b"), [Entry(0, "test", "d", name, "s", label) for name, label in LABELS.items()]
)
HISTORY = pd.DataFrame(
    {"fold": 0, "seed": [1, 1, 2], "epoch": [1.0, 2.0, 1.0], "train_total": 0.0}
    | {"train_weighted_f1": [11.0, 12.0, 21.0], "valid_weighted_f1": [13.0, 14.0, 23.0]}
)


def prediction(seed: int, epoch: int, classes: list[int]) -> EpochPrediction:
    chances = np.eye(2, dtype=np.float32)[classes]
    return EpochPrediction(0, seed, epoch, False, "test", list(LABELS), chances)


def test_every_split_of_every_epoch_of_every_run() -> None:
    """Of a and b, `a a` gets F1 2/3 and 0, so 1/3; the turn without a label counts nowhere."""
    rows = [prediction(1, 1, [0, 0, 1]), prediction(1, 2, [0, 1, 0]), prediction(2, 1, [1, 0, 0])]
    curves = f1_curves(HISTORY, rows, PROTOCOL)
    assert list(curves.columns) == CURVES
    assert curves.to_numpy().tolist() == [
        [0, 1, 1, "train", 11.0],
        [0, 1, 1, "valid", 13.0],
        [0, 1, 1, "test", 33.3333],
        [0, 1, 2, "train", 12.0],
        [0, 1, 2, "valid", 14.0],
        [0, 1, 2, "test", 100.0],
        [0, 2, 1, "train", 21.0],
        [0, 2, 1, "valid", 23.0],
        [0, 2, 1, "test", 0.0],
    ]
