"""The feature store: what is written is read, the bytes are stable, faults are told."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.records.features import of_utterances, read_features, write_features

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
