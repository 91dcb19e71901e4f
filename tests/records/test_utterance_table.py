"""The table of utterances: CSV and Parquet alike, and what its columns must agree in."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.records.utterance_table import UtteranceTable, read_utterance_table

OPTIONAL = (
    "clip", "dialogue", "turn", "utterance", "text", "start", "end", "emotion", "sentiment",
    "split", "session",
)  # fmt: skip


def table(folder: Path, *lines: str) -> UtteranceTable:
    (folder / "utterances.csv").write_text("\n".join(lines), encoding="utf-8")
    return read_utterance_table(folder, ("speaker",), OPTIONAL)


def test_turns_order_a_dialogue_whatever_the_order_of_the_lines(tmp_path: Path) -> None:
    found = table(
        tmp_path, "dialogue,turn,speaker,split", "b,0,A,Valid", "a,10,A,", "a,2,B,", "b,1,B,dev"
    )
    grouped = found.dialogues(lambda row: row["dialogue"])
    assert {n: [row["speaker"] for row in rows] for n, rows in grouped.items()} == {
        "b": ["A", "B"],
        "a": ["B", "A"],
    }
    assert [row.split for row in grouped["b"]] == ["dev", "dev"] and grouped["a"][0].split is None


def test_parquet_of_the_same_columns_reads_alike(tmp_path: Path) -> None:
    values: Mapping[str, Sequence[object]] = {
        "clip": ["a.wav", None, "b.wav"],
        "speaker": [1, 2, 1],
        "turn": [0.0, 1.0, 2.0],
        "text": ["Well, yes", " ", None],
        "start": [1.5, float("nan"), 0.25],
    }
    frame = pd.DataFrame(values)
    frame["speaker"] = frame["speaker"].astype("category").cat.rename_categories(["Ann", "Bob"])
    frame.to_csv(tmp_path / "utterances.csv", index=False)
    of_csv = read_utterance_table(tmp_path, ("speaker",), OPTIONAL)
    (tmp_path / "utterances.csv").unlink()
    frame["turn"] = frame["turn"].astype(int)
    frame.to_parquet(tmp_path / "utterances.parquet")
    of_parquet = read_utterance_table(tmp_path, ("speaker",), OPTIONAL)
    assert [row["speaker"] for row in of_parquet.rows] == ["Ann", "Bob", "Ann"]
    assert [row.seconds("start") for row in of_parquet.rows] == [1.5, None, 0.25]
    assert [row.turn for row in of_parquet.rows] == [row.turn for row in of_csv.rows] == [0, 1, 2]
    for column in ("clip", "text", "speaker"):
        assert [row[column] for row in of_parquet.rows] == [row[column] for row in of_csv.rows]
    assert [row.number for row in of_parquet.rows] == [row.number for row in of_csv.rows]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("speaker,turn", "A,"), "row 2: turn is '', expected its place in the dialogue"),
        (("speaker,turn", "A,1.5"), "row 2: turn is '1.5'"),
        (("speaker,split", "A,training"), "row 2: split is 'training', expected one of ['train'"),
        (("speaker,label", "A,joy"), "Labels stand in emotion or sentiment."),
        (("text", "hello"), "it lacks ['speaker']"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row(
    tmp_path: Path, lines: Sequence[str], said: str
) -> None:
    with pytest.raises(PipelineError) as told:
        table(tmp_path, *lines)
    assert said in str(told.value)


def test_a_dialogue_of_two_splits_sessions_or_equal_turns_is_refused(tmp_path: Path) -> None:
    found = table(tmp_path, "dialogue,turn,speaker,split,session", "a,0,A,train,1", "a,0,B,test,2")
    with pytest.raises(PipelineError) as told:
        found.dialogues(lambda row: row["dialogue"])
    for said in (
        "dialogue 'a' has the turns [0] more than once",
        "dialogue 'a' has the splits ['test', 'train'], expected one",
        "dialogue 'a' has the sessions ['1', '2'], expected one",
    ):
        assert said in str(told.value)


def test_parquet_that_is_none_or_holds_lists_and_two_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "utterances.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(PipelineError, match="is not a Parquet file of texts and numbers"):
        read_utterance_table(tmp_path, ("speaker",), OPTIONAL)
    pq.write_table(pa.table({"speaker": [["A"], ["B"]]}), path)
    with pytest.raises(PipelineError, match="is not a Parquet file of texts and numbers"):
        read_utterance_table(tmp_path, ("speaker",), OPTIONAL)
    with pytest.raises(PipelineError, match=r"and utterances\.parquet, expected one"):
        table(tmp_path, "speaker", "A")


@given(st.binary(max_size=120))
def test_arbitrary_bytes_raise_nothing_but_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("table")
    header = ",".join(("speaker", *OPTIONAL)).encode()
    (folder / "utterances.csv").write_bytes(header + b"\n" + content)
    with suppress(PipelineError):
        read_utterance_table(folder, ("speaker",), OPTIONAL).dialogues(lambda row: row["dialogue"])
