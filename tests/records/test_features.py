"""The feature store: what is written is read, the bytes are stable, faults are told."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.records.features import SCHEMA, of_utterances, read_features, write_features

ABOUT = {"extractor": "test"}


def rows(frames: list[int], dimension: int = 3) -> list[tuple[str, np.ndarray | None]]:
    generator = np.random.default_rng(1)
    return [
        (f"u{n}", generator.normal(size=(count, dimension)).astype(np.float32) if count else None)
        for n, count in enumerate(frames)
    ]


@given(st.lists(st.integers(0, 4), max_size=300))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, frames: list[int]
) -> None:
    path = tmp_path_factory.mktemp("store") / "x.parquet"
    written = rows(frames)
    assert write_features(path, iter(written), ABOUT) == (
        sum(f > 0 for f in frames),
        3 if any(frames) else 0,
    )
    store = read_features(path)
    assert store.utterances == [name for name, _ in written]
    assert store.present.tolist() == [f > 0 for f in frames]
    for row, (_, vectors) in enumerate(written):
        found = store.values[store.offsets[row] : store.offsets[row + 1]]
        expected = np.zeros((0, store.dimension)) if vectors is None else vectors
        assert np.array_equal(found, expected)


def test_the_bytes_do_not_depend_on_the_run(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_features(tmp_path / name, iter(rows([1, 0, 2] * 100)), ABOUT)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_tool_reads_a_cell_with_one_call(tmp_path: Path) -> None:
    written = rows([2])
    write_features(tmp_path / "x.parquet", written, ABOUT)
    cell = pq.read_table(tmp_path / "x.parquet")["values"][0].as_py()
    assert np.array_equal(np.frombuffer(cell, "<f4").reshape(-1, 3), written[0][1])


def test_an_empty_store_is_a_store(tmp_path: Path) -> None:
    write_features(tmp_path / "x.parquet", [], {"extractor": None})
    store = read_features(tmp_path / "x.parquet")
    assert store.utterances == [] and store.dimension == 0 and len(store.values) == 0


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.zeros((1, 4), np.float32), "expected [frame, 3]"),
        (np.zeros((0, 3), np.float32), "expected [frame, 3]"),
        (np.array([[0, np.nan, 0]], np.float32), "not all finite"),
    ],
)
def test_bad_vectors_are_refused_and_leave_no_file(
    tmp_path: Path, vectors: np.ndarray, said: str
) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(PipelineError, match="u0") as error:
        write_features(path, [("first", np.ones((1, 3), np.float32)), ("u0", vectors)], ABOUT)
    assert said in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="is missing; `dvc repro`"):
        read_features(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(PipelineError, match="not a Parquet file"):
        read_features(tmp_path / "x.parquet")


def test_utterances_a_store_lacks_are_named(tmp_path: Path) -> None:
    write_features(tmp_path / "x.parquet", rows([1, 1]), ABOUT)
    store = read_features(tmp_path / "x.parquet")
    assert of_utterances(store, ["u1", "u0"]).tolist() == [1, 0]
    with pytest.raises(PipelineError, match="lacks 1 utterances, such as u7"):
        of_utterances(store, ["u0", "u7"])


def rewritten(path: Path, change: Callable[[list[dict[str, Any]]], None], **options: Any) -> None:
    """Edit a store's rows with another tool, which keeps the metadata."""
    with pq.ParquetFile(path) as file:
        table, footer = file.read(), file.metadata.metadata
    cells = table.to_pylist()
    change(cells)
    schema = table.schema
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        writer.write_table(pa.Table.from_pylist(cells, schema))
        writer.add_key_value_metadata({"sha256": footer[b"sha256"]})


def cell(*values: float, dtype: str = "<f4") -> bytes:
    return np.array(values, dtype).tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.append(rows[0]), "1 utterances stand in it twice, such as u0"),
        (lambda rows: rows[2].update(present=True), "u2 is there, but has 0 bytes of 0 frames"),
        (lambda rows: rows[0].update(present=False), "u0 is missing, but has 12 bytes of 1 frames"),
        (lambda rows: rows[1].update(frames=3), "24 bytes of 3 frames of 3 float32"),
        (lambda rows: rows[1].update(frames=-1), "24 bytes of -1 frames of 3 float32"),
        (
            lambda rows: rows[0].update(values=cell(1, 2, 3, dtype="<f2")),
            "u0 is there, but has 6 bytes of 1 frames of 3 float32",
        ),
        (lambda rows: rows[0].update(values=b"12345"), "u0 is there, but has 5 bytes"),
        (lambda rows: rows[1].update(values=cell(1, 2, 3, 4, np.nan, 6)), "values of u1 are NaN"),
        (lambda rows: rows[0].update(values=cell(1, -np.inf, 3)), "values of u0 are NaN or inf"),
        (lambda rows: rows[0].update(utterance="u9"), "its rows have the SHA-256"),
        (lambda rows: rows[0].update(values=cell(1, 2, 3)), "its rows have the SHA-256"),
        (lambda rows: rows.pop(), "its rows have the SHA-256"),
        (
            lambda rows: (rows[0].update(utterance="u1"), rows[1].update(utterance="u0")),
            "its rows have the SHA-256",
        ),
    ],
)
def test_a_store_that_was_edited_is_refused(
    tmp_path: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    path = tmp_path / "x.parquet"
    write_features(path, rows([1, 2, 0]), ABOUT)
    rewritten(path, lambda rows: None)
    assert read_features(path).utterances == ["u0", "u1", "u2"]
    rewritten(path, change)
    with pytest.raises(PipelineError, match=message) as refused:
        read_features(path)
    assert "delete it and run `dvc repro`" in str(refused.value)


@pytest.mark.parametrize("dimension", [None, "3", -3, 0, 10**12, 2.5])
def test_a_dimension_that_is_none_is_refused(tmp_path: Path, dimension: object) -> None:
    path = tmp_path / "x.parquet"
    write_features(path, rows([1]), ABOUT)
    table = pq.read_table(path)
    text = table.schema.metadata[b"erc"].replace(b'"dimension": 3', b'"dimension": %r' % dimension)
    text = text.replace(b"None", b"null").replace(b"'", b'"')
    pq.write_table(
        table.replace_schema_metadata({"erc": text}), path, compression="none", use_dictionary=False
    )
    with pytest.raises(PipelineError, match="expected a number of features"):
        read_features(path)


@pytest.mark.parametrize(
    "options", [{"compression": "zstd"}, {"compression": "none"}, {"compression": "snappy"}]
)
def test_a_small_file_that_is_large_in_memory_is_not_unpacked(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "x.parquet"
    write_features(path, rows([1]), ABOUT)
    megabyte, schema = bytes(2**20), pq.read_schema(path)
    table = pa.table([["u"] * 64, [True] * 64, [1] * 64, [megabyte] * 64], schema=schema)
    pq.write_table(table, path, **options)
    assert path.stat().st_size < 2**20 + 10_000
    with pytest.raises(PipelineError, match=r"its column utterance is packed"):
        read_features(path)


def test_what_is_no_file_or_has_other_columns_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "zero", "folder"):
        with pytest.raises(PipelineError, match="it is not a file"):
            read_features(tmp_path / name)
    path = tmp_path / "x.parquet"
    write_features(path, rows([1]), ABOUT)
    schema = pa.schema([*list(SCHEMA)[:3], pa.field("values", pa.list_(pa.float16()))])
    halves = pa.table(
        [["u"], [True], [1], [[np.float16(1)]]],
        schema=schema.with_metadata(pq.read_schema(path).metadata),
    )
    pq.write_table(halves, path)
    with pytest.raises(PipelineError, match="other columns than features/1"):
        read_features(path)
