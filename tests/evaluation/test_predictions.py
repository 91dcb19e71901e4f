"""The table of predictions reads back, and refuses what does not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
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
PREDICTIONS = Predictions(
    TEST_SET,
    {
        MODEL: ModelPredictions((1, 7), CHANCES.argmax(2), CHANCES),
        "majority": ModelPredictions((0,), np.array([[1, 1, 1]]), None),
    },
)


def test_it_reads_back(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", PREDICTIONS)
    table = read_predictions(tmp_path / "p.parquet")
    assert table.test_set.utterances == TEST_SET.utterances and table.test_set.classes == ("a", "b")
    assert table.test_set.clusters.tolist() == [0, 0, 1]
    assert table.test_set.folds.tolist() == [0, 0, 1]
    assert table.test_set.actual.tolist() == [0, 1, 1]
    assert list(table.by_model) == [MODEL, "majority"] and table.by_model[MODEL].seeds == (1, 7)
    assert np.array_equal(table.by_model[MODEL].probabilities, CHANCES)
    assert table.by_model["majority"].probabilities is None
    assert table.by_model["majority"].predicted.tolist() == [[1, 1, 1]]


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_predictions(tmp_path / name, PREDICTIONS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_anyone_can_recompute_with_pandas_alone(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", PREDICTIONS)
    rows = pq.read_table(tmp_path / "p.parquet").to_pandas()
    seed = rows[(rows["model"] == MODEL) & (rows["seed"] == 7)]
    assert (seed["actual"] == seed["predicted"]).mean() == pytest.approx(2 / 3)
    assert seed[f"{PROBABILITY}b"].tolist() == [0.75] * 3


def test_a_model_with_other_utterances_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(path, PREDICTIONS)
    pq.write_table(pq.read_table(path).slice(0, 8), path)
    with pytest.raises(PipelineError, match="majority was tested on other utterances"):
        read_predictions(path)


def edited(path: Path, column: str, row: int, value: object) -> None:
    """Change a cell of the table as somebody with pandas would."""
    table = pq.read_table(path)
    cells = table[column].to_pylist()
    cells[row] = value
    place = table.schema.get_field_index(column)
    field = table.schema.field(column)
    changed = table.set_column(place, field, pa.array(cells, field.type))
    pq.write_table(changed, path)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("actual", 0, "joy", r"it has the labels \['joy'\], expected some of \['a', 'b'\]"),
        ("predicted", 4, "joy", r"it has the labels \['joy'\]"),
        ("predicted", 0, "b", "MCN-CL predicts other classes than its most probable ones"),
        ("actual", 0, "b", "MCN-CL was tested on other actual labels than the first model"),
        ("actual", 6, "b", "majority was tested on other actual labels than the first model"),
        ("dialogue", 7, "e", "majority was tested on other dialogues"),
        ("fold", 4, 1, "MCN-CL was tested on other folds"),
        ("utterance", 3, "u9", "MCN-CL was tested on other utterances"),
        ("seed", 3, 1, "MCN-CL was tested on other utterances"),
        (f"{PROBABILITY}a", 1, 0.9, "MCN-CL has probabilities that do not add up to 1"),
        (f"{PROBABILITY}a", 1, float("nan"), "MCN-CL has probabilities that do not add up to 1"),
        (f"{PROBABILITY}b", 5, None, "MCN-CL has probabilities that do not add up to 1"),
    ],
)
def test_predictions_that_were_edited_are_refused(
    tmp_path: Path, column: str, row: int, value: object, message: str
) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(path, PREDICTIONS)
    edited(path, column, row, value)
    with pytest.raises(PipelineError, match=message) as refused:
        read_predictions(path)
    assert "delete it and run `dvc repro`" in str(refused.value)


def test_an_utterance_that_stands_twice_is_refused(tmp_path: Path) -> None:
    twice = replace(TEST_SET, utterances=("u0", "u0", "v0"))
    write_predictions(tmp_path / "p.parquet", replace(PREDICTIONS, test_set=twice))
    with pytest.raises(PipelineError, match="1 utterances stand in it twice, such as u0"):
        read_predictions(tmp_path / "p.parquet")


@pytest.mark.parametrize("classes", ["null", '["a", "a"]', "[]", "3", '[["a"], "b"]'])
def test_classes_that_are_none_are_refused(tmp_path: Path, classes: str) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(path, PREDICTIONS)
    text = f'{{"schema": "predictions/2", "classes": {classes}}}'
    pq.write_table(pq.read_table(path).replace_schema_metadata({"erc": text}), path)
    with pytest.raises(PipelineError, match="expected a list of different names"):
        read_predictions(path)
