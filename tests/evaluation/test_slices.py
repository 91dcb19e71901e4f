"""Slices of the test split, by hand."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import PipelineError
from pipeline.evaluation import slices as module
from pipeline.evaluation.evaluate import labelled_test_set
from pipeline.evaluation.slices import OTHERS, slices
from pipeline.records.predictions import SystemPredictions
from pipeline.records.protocol import Entry, Protocol

# Dialogue d: Ann a, Bob b, Ann (no label), Ann a, Bob a, Ann b; dialogue e: Bob a.
LINES = [("d", "Ann", 0), ("d", "Bob", 1), ("d", "Ann", None), ("d", "Ann", 0), ("d", "Bob", 0)]
LINES += [("d", "Ann", 1), ("e", "Bob", 0)]
PROTOCOL = Protocol(
    ("a", "b"),
    [
        *(Entry(0, "test", d, f"u{n}", s, label) for n, (d, s, label) in enumerate(LINES)),
        Entry(0, "train", "f", "t0", "Eve", 1),
    ],
)


PRESENT = {
    "text": {f"u{n}": True for n in range(7)},
    "audio": {f"u{n}": n != 1 for n in range(7)},
}
PREDICTIONS = SystemPredictions((1, 2), np.array([[0, 1, 0, 0, 1, 0], [1, 1, 0, 1, 1, 0]]), None)


@pytest.fixture
def table() -> pd.DataFrame:
    return slices(labelled_test_set(PROTOCOL), PREDICTIONS, PROTOCOL.entries, PRESENT)


def part(table: pd.DataFrame, by: str) -> dict[str, int]:
    rows = table[table["by"] == by]
    return dict(zip(rows["slice"], rows["utterances"], strict=True))


def test_which_utterances_fall_where(table: pd.DataFrame) -> None:
    assert part(table, "turn position") == {"1": 2, "2-3": 1, "4-6": 3}, "turn 3 has no label"
    assert part(table, "dialogue length") == {"1-5": 1, "6-10": 5}, "it counts in the length"
    assert part(table, "speaker") == {"Ann": 3, "Bob": 3}
    assert part(table, "modalities present") == {"1": 1, "2": 5}
    assert part(table, "emotion shift") == {"shift": 2, "constant": 1, "first": 3}
    assert all(table.groupby("by")["utterances"].sum() == 6)


def test_figures_by_hand(table: pd.DataFrame) -> None:
    """Of Ann's a a b seed 1 gets all right, seed 2 predicts b a b: F1 of a 2/3, of b 2/3."""
    (ann,) = table[table["slice"] == "Ann"].to_dict("records")
    assert ann["weighted_f1"] == pytest.approx((100 + 200 / 3) / 2, abs=0.01)
    assert ann["weighted_f1_std"] == pytest.approx((100 - 200 / 3) / 2**0.5, abs=0.01)
    assert ann["accuracy"] == pytest.approx(100 * 5 / 6, abs=0.01)
    assert ann["dialogues"] == 1 and np.isnan(ann["weighted_f1_low"]), "nothing to resample"
    (bob,) = table[table["slice"] == "Bob"].to_dict("records")
    assert bob["dialogues"] == 2 and bob["weighted_f1_low"] <= bob["weighted_f1"]


def test_rare_speakers_share_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPEAKERS", 1)
    table = slices(labelled_test_set(PROTOCOL), PREDICTIONS, PROTOCOL.entries, PRESENT)
    assert part(table, "speaker") == {"Ann": 3, OTHERS: 3}


def test_a_store_of_another_manifest_is_refused() -> None:
    present = {"text": PRESENT["text"], "audio": {"u0": True}}
    with pytest.raises(PipelineError, match="audio store lacks 5 utterances, such as u1; it was"):
        slices(labelled_test_set(PROTOCOL), PREDICTIONS, PROTOCOL.entries, present)
