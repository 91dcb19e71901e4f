"""The table of predictions reads back, and tells what does not fit."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import PipelineError
from pipeline.records.predictions import (
    MODEL,
    PROBABILITY,
    ModelPredictions,
    Predictions,
    TestSet,
    read_predictions,
    write_predictions,
)

TEST_SET = TestSet(
    ("a", "b"),
    ("u0", "u1", "v0"),
    ("d", "d", "e"),
    np.array([0, 0, 1], np.int32),
    np.array([0, 1, 1]),
)
CHANCES = np.array([[[0.75, 0.25]] * 3, [[0.25, 0.75]] * 3], np.float32)
FOUND = Predictions(
    TEST_SET,
    {
        MODEL: ModelPredictions((1, 7), CHANCES.argmax(2), CHANCES),
        "majority": ModelPredictions((0,), np.array([[1, 1, 1]]), None),
    },
)


def test_it_reads_back(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", FOUND)
    found = read_predictions(tmp_path / "p.parquet")
    assert found.test_set.utterances == TEST_SET.utterances and found.test_set.classes == ("a", "b")
    assert found.test_set.clusters.tolist() == [0, 0, 1]
    assert found.test_set.folds.tolist() == [0, 0, 1] and found.test_set.actual.tolist() == [
        0,
        1,
        1,
    ]
    assert list(found.by_model) == [MODEL, "majority"] and found.by_model[MODEL].seeds == (1, 7)
    assert np.array_equal(found.by_model[MODEL].probabilities, CHANCES)
    assert found.by_model["majority"].probabilities is None
    assert found.by_model["majority"].predicted.tolist() == [[1, 1, 1]]


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_predictions(tmp_path / name, FOUND)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_anyone_can_recompute_with_pandas_alone(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", FOUND)
    rows = pq.read_table(tmp_path / "p.parquet").to_pandas()
    seed = rows[(rows["model"] == MODEL) & (rows["seed"] == 7)]
    assert (seed["actual"] == seed["predicted"]).mean() == pytest.approx(2 / 3)
    assert seed[f"{PROBABILITY}b"].tolist() == [0.75] * 3


def test_a_model_with_other_utterances_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(path, FOUND)
    pq.write_table(pq.read_table(path).slice(0, 8), path)
    with pytest.raises(PipelineError, match="majority was tested on other utterances"):
        read_predictions(path)
