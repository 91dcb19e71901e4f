"""Predictions of others: what a file must hold, and what is wrong with one in words."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import PipelineError
from pipeline.records.foreign import is_foreign, read_foreign
from pipeline.records.predictions import TestSet

TEST_SET = TestSet(
    classes=("joy", "anger"),
    utterances=("u1", "u2", "=u3"),
    dialogues=("d", "d", "e"),
    folds=np.zeros(3, np.int32),
    actual=np.array([0, 1, 1]),
)
BARE = "utterance,predicted\nu2,joy\nu1,anger\n=u3,joy\n"
WHOLE = (
    "seed,utterance,predicted,probability of anger,probability of joy,note\n"
    "2,u1,joy,0.25,0.75,a\n2,u2,anger,0.5,0.5,b\n2,'=u3,anger,1,0,c\n"
    "1,u1,anger,0.75,0.25,d\n1,u2,joy,0.001,0.999,e\n1,=u3,joy,0.5,0.5,f\n"
)


def written(folder: Path, text: str, name: str = "mine.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_in_any_order_are_joined_by_utterance(tmp_path: Path) -> None:
    found = read_foreign(written(tmp_path, BARE), TEST_SET)
    assert found.seeds == (0,) and found.probabilities is None
    assert found.predicted.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_runs_and_probabilities(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, WHOLE)
    if name.endswith("parquet"):
        path = tmp_path / name
        pd.read_csv(tmp_path / "mine.csv").replace("'=u3", "=u3").to_parquet(path)
    found = read_foreign(path, TEST_SET)
    assert found.seeds == (1, 2)
    assert found.predicted.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert found.probabilities is not None and found.probabilities.dtype == np.float32
    assert found.probabilities[1].tolist() == [[0.75, 0.25], [0.5, 0.5], [0, 1]]


def test_files_are_told_from_revisions_by_their_ending() -> None:
    assert is_foreign("a/mine.CSV") and is_foreign("mine.parquet")
    assert not is_foreign("HEAD") and not is_foreign("workspace:mcn_cl")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("utterance,", "id,", "it lacks the columns ['utterance'] and has ['seed', 'id', 'pre"),
        ("note\n", "seed\n", "it has the columns ['seed'] twice"),
        ("of joy,note", "of happiness,note", "'probability of happiness'], expected none or"),
        ("of joy,note", "joy,note", "['probability of anger', 'probability joy']"),
        ("of joy,note", "x,y", "its columns of probabilities are ['probability of anger', "),
        ("2,u1,joy", "2,u9,joy", "1 are no labelled test utterances of this corpus: u9"),
        ("2,u1,joy", "2,u9,joy", "1 of 3 test utterances are not in it (seed 2): u1"),
        ("2,u1,joy", "1,u1,joy", "1 utterances stand in a run twice (a run has a seed): u1"),
        ("2,u1,joy", "2,u1,Joy", "predicted: got Joy, expected some of ['joy', 'anger']"),
        ("2,u1,joy", "2,u1,", "predicted: got , expected some of"),
        ("2,u1,joy", "x,u1,joy", "seed: got x, expected whole numbers"),
        ("2,u1,joy", "2.5,u1,joy", "seed: got 2.5, expected whole numbers"),
        ("2,u1,joy", "1e99,u1,joy", "seed: got 1e99, expected whole numbers"),
        ("2,u1,joy", ",u1,joy", "seed: got , expected whole numbers"),
        ("0.25,0.75", "0.25,0.7", "probabilities do not add up to 1 of u1"),
        ("0.25,0.75", "-0.25,1.25", "probabilities do not add up to 1 of u1"),
        ("0.25,0.75", ",1", "probabilities do not add up to 1 of u1"),
        ("0.25,0.75", "nan,1", "probabilities do not add up to 1 of u1"),
        ("0.25,0.75", "low,1", "probabilities do not add up to 1 of u1"),
        ("0.25,0.75", "0.75,0.25", "not the class with the highest probability of u1"),
    ],
)
def test_each_problem_is_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in WHOLE
    path = written(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(PipelineError) as error:
        read_foreign(path, TEST_SET)
    head, *lines = str(error.value).splitlines()
    assert head == f"{path} cannot be used as predictions of this corpus:"
    assert any(problem in line for line in lines), lines


def test_all_problems_are_told_at_once_and_long_lists_are_cut(tmp_path: Path) -> None:
    rows = "".join(f"x{number},sad\n" for number in range(9))
    with pytest.raises(PipelineError) as error:
        read_foreign(written(tmp_path, f"utterance,predicted\n{rows}"), TEST_SET)
    assert str(error.value).splitlines()[1:] == [
        "  predicted: got sad, expected some of ['joy', 'anger']",
        "  9 are no labelled test utterances of this corpus: x0, x1, x2, x3, x4 and 4 more",
        "  3 of 3 test utterances are not in it (seed 0): u1, u2, =u3",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"utterance,predicted\n", "it has no rows"),
        (b"", "cannot be read: No columns to parse from file; expected the columns utterance"),
        (b"utterance,predicted\n\xff,joy\n", "cannot be read: 'utf-8' codec can't decode"),
        (b"utterance,predicted\nu1,joy,x,y\n", "cannot be read: Error tokenizing data"),
        (b"utterance,predicted\nu1\n", "predicted: got , expected some of"),
        (b"utterance;predicted\nu1;joy\n", "lacks the columns ['utterance', 'predicted'] and has"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(PipelineError) as error:
        read_foreign(path, TEST_SET)
    assert problem in str(error.value)


def test_what_is_no_parquet_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"mine.parquet cannot be read: .*; expected the col"):
        read_foreign(written(tmp_path, BARE, "mine.parquet"), TEST_SET)
    with pytest.raises(PipelineError, match=r"There is no file .*gone.csv; expected the columns"):
        read_foreign(tmp_path / "gone.csv", TEST_SET)
