"""The table of predictions reads back, and refuses what does not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.records.predictions import (
    PROBABILITY,
    Predictions,
    SystemPredictions,
    TestSet,
    read_predictions,
    read_systems,
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
        "mcn_cl": SystemPredictions((1, 7), CHANCES.argmax(2), CHANCES),
        "majority": SystemPredictions((0,), np.array([[1, 1, 1]]), None),
    },
    {"mcn_cl": {"fidelity": "paper", "parameters": 3}},
)


def test_it_reads_back(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", PREDICTIONS)
    table = read_predictions(tmp_path / "p.parquet")
    assert table.test_set.utterances == TEST_SET.utterances and table.test_set.classes == ("a", "b")
    assert table.test_set.clusters.tolist() == [0, 0, 1]
    assert table.test_set.folds.tolist() == [0, 0, 1]
    assert table.test_set.actual.tolist() == [0, 1, 1]
    assert list(table.by_system) == ["mcn_cl", "majority"] and table.by_system["mcn_cl"].seeds == (
        1,
        7,
    )
    assert np.array_equal(table.by_system["mcn_cl"].probabilities, CHANCES)
    assert table.about == PREDICTIONS.about
    assert table.by_system["majority"].probabilities is None
    assert table.by_system["majority"].predicted.tolist() == [[1, 1, 1]]


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_predictions(tmp_path / name, PREDICTIONS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_anyone_can_recompute_with_pandas_alone(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.parquet", PREDICTIONS)
    rows = pq.read_table(tmp_path / "p.parquet").to_pandas()
    seed = rows[(rows["system"] == "mcn_cl") & (rows["seed"] == 7)]
    assert (seed["actual"] == seed["predicted"]).mean() == pytest.approx(2 / 3)
    assert seed[f"{PROBABILITY}b"].tolist() == [0.75] * 3


def test_a_system_with_other_utterances_is_refused(tmp_path: Path) -> None:
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
        ("predicted", 0, "b", "mcn_cl predicts other classes than its most probable ones"),
        ("actual", 0, "b", "mcn_cl was tested on other actual labels than the first system"),
        ("actual", 6, "b", "majority was tested on other actual labels than the first system"),
        ("dialogue", 7, "e", "majority was tested on other dialogues"),
        ("fold", 4, 1, "mcn_cl was tested on other folds"),
        ("utterance", 3, "u9", "mcn_cl was tested on other utterances"),
        ("seed", 3, 1, "mcn_cl was tested on other utterances"),
        (f"{PROBABILITY}a", 1, 0.9, "mcn_cl has probabilities that do not add up to 1"),
        (f"{PROBABILITY}a", 1, float("nan"), "mcn_cl has probabilities that do not add up to 1"),
        (f"{PROBABILITY}b", 5, None, "mcn_cl has probabilities that do not add up to 1"),
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
    text = f'{{"schema": "predictions/3", "classes": {classes}}}'
    pq.write_table(pq.read_table(path).replace_schema_metadata({"erc": text}), path)
    with pytest.raises(PipelineError, match="expected a list of different names"):
        read_predictions(path)


def written(name: str, predictions: Predictions) -> None:
    write_predictions(paths.predictions("c", name), predictions)


def test_the_files_of_a_corpus_are_joined(workspace: Path) -> None:
    for name, of_system in PREDICTIONS.by_system.items():
        written(name, Predictions(TEST_SET, {name: of_system}, {name: {"fidelity": name}}))
    written("gone", Predictions(TEST_SET, {}, {"gone": {"left_out": "why"}}))
    joined = read_systems("c", ["gone", "majority", "mcn_cl"])
    assert list(joined.by_system) == ["majority", "mcn_cl"]
    assert joined.test_set.same_as(TEST_SET)
    assert joined.about["gone"] == {"left_out": "why"}
    assert joined.about["mcn_cl"] == {"fidelity": "mcn_cl"}


def test_files_of_other_test_sets_are_not_joined(workspace: Path) -> None:
    other = replace(TEST_SET, actual=np.array([1, 1, 1]))
    written("mcn_cl", Predictions(TEST_SET, dict([*PREDICTIONS.by_system.items()][:1])))
    written("majority", Predictions(other, dict([*PREDICTIONS.by_system.items()][1:])))
    with pytest.raises(PipelineError, match=r"majority\.parquet is for other test utterances"):
        read_systems("c", ["mcn_cl", "majority"])
    written("majority", Predictions(TEST_SET, {}, {"majority": {"left_out": "why"}}))
    with pytest.raises(PipelineError, match=r"No system of \['majority'\] has predictions on c"):
        read_systems("c", ["majority"])
