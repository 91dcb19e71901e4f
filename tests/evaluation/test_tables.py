"""Tables of results by hand: F1 by epoch and split, confusions, the leaderboard."""

import numpy as np
import pandas as pd

from pipeline.evaluation.tables import CURVES, confusion_table, f1_curves, leaderboard
from pipeline.records.epochs import EpochPrediction
from pipeline.records.predictions import Predictions, SystemPredictions, TestSet
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
    return EpochPrediction(0, seed, epoch, epoch == seed, "test", list(LABELS), chances)


def test_every_split_of_every_epoch_of_every_run() -> None:
    """Of a and b, `a a` gets F1 2/3 and 0, so 1/3; the turn without a label counts nowhere."""
    rows = [prediction(1, 1, [0, 0, 1]), prediction(1, 2, [0, 1, 0]), prediction(2, 1, [1, 0, 0])]
    curves = f1_curves(HISTORY, rows, PROTOCOL)
    assert list(curves.columns) == CURVES
    assert curves.to_numpy().tolist() == [
        [0, 1, 1, "train", 11.0, True],
        [0, 1, 1, "valid", 13.0, True],
        [0, 1, 1, "test", 33.3333, True],
        [0, 1, 2, "train", 12.0, False],
        [0, 1, 2, "valid", 14.0, False],
        [0, 1, 2, "test", 100.0, False],
        [0, 2, 1, "train", 21.0, False],
        [0, 2, 1, "valid", 23.0, False],
        [0, 2, 1, "test", 0.0, False],
    ]


TEST_SET = TestSet(
    ("b", "a", "c"), ("u0", "u1", "u2"), ("d", "d", "e"), np.zeros(3, int), np.array([0, 0, 1])
)
SYSTEM = SystemPredictions((1, 2), np.array([[0, 1, 1], [0, 0, 0]]), None)


def test_confusions_are_of_every_pair_in_the_order_of_the_classes() -> None:
    """So that DVC's plot has that order; of b 3 of 4 are right, of a 1 of 2, c does not occur."""
    assert confusion_table(TEST_SET, SYSTEM).to_numpy().tolist() == [
        ["b", "b", 75.0],
        ["b", "a", 25.0],
        ["b", "c", 0.0],
        ["a", "b", 50.0],
        ["a", "a", 50.0],
        ["a", "c", 0.0],
        ["c", "b", 0.0],
        ["c", "a", 0.0],
        ["c", "c", 0.0],
    ]


def test_the_leaderboard_holds_what_is_known_of_each_system() -> None:
    floor = SystemPredictions((0,), np.array([[0, 0, 0]]), None)
    about = {
        "mine": {"title": "Mine", "fidelity": "code", "parameters": 12},
        "floor": {"title": "Floor", "fidelity": "our reading"},
        "gone": {"title": "Gone", "fidelity": "code", "left_out": "no"},
    }
    board = leaderboard(Predictions(TEST_SET, {"floor": floor, "mine": SYSTEM}, about), "floor")
    assert board["system"].tolist() == ["mine", "floor"] and board["rank"].tolist() == [1, 2]
    mine, other = board.to_dict("records")
    # Run 1: F1 of b 2/3, of a 2/3. Run 2, as the floor: F1 of b 4/5, of a 0, so weighted 8/15.
    assert mine["weighted_f1"] == round(100 * (2 / 3 + 8 / 15) / 2, 2)
    assert mine["weighted_f1_std"] == round(100 * (2 / 3 - 8 / 15) / 2**0.5, 2)
    assert mine["difference"] == round(100 * (2 / 3 - 8 / 15) / 2, 2)
    assert (mine["title"], mine["fidelity"], mine["parameters"]) == ("Mine", "code", 12)
    assert np.isnan([other["difference"], other["parameters"], other["weighted_f1_std"]]).all()
