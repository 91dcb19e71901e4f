"""The feature store of a modality: the vectors of every utterance, one row each.

A row's vectors are one binary cell of little-endian float32: Arrow then holds all rows' values end
to end, and they become one tensor without a copy per row (measured 2-2.75 GB/s against 0.2-0.4 for
list columns). The price is that other tools see bytes; `numpy.frombuffer(cell, "<f4")` reads one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import PipelineError
from pipeline.base.files import chunked, replacing
from pipeline.base.tables import read_about, with_metadata

VERSION = "features/1"
ROWS_PER_GROUP = 128
FLOATS = np.dtype("<f4")
SCHEMA = pa.schema(
    [
        pa.field("utterance", pa.string(), nullable=False),
        pa.field("present", pa.bool_(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("values", pa.large_binary(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Features:
    """A modality's features of a whole corpus.

    Attributes:
        utterances: Ids, in manifest order.
        present: [utterance] bool; False where the modality is missing.
        offsets: [utterance + 1] first row of each utterance in `values`; a missing one has none.
        values: [frame, feature] float32; text and audio have one row per present utterance.
        about: Provenance: extractor, settings, encoder and its digest, library versions.
    """

    utterances: list[str]
    present: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    about: dict[str, Any]

    @property
    def dimension(self) -> int:
        """Features per row; 0 in an empty store."""
        return int(self.about["dimension"])


def write_features(
    path: Path, rows: Iterable[tuple[str, np.ndarray | None]], about: dict[str, Any]
) -> tuple[int, int]:
    """Streams a store to disk, whole or not at all.

    Args:
        path: Where to.
        rows: Utterance and its [frame, feature] vectors, None where missing; in manifest order.
        about: Provenance.

    Returns:
        How many utterances have the modality, and how many features its vectors have; 0 where
        none has it.

    Raises:
        PipelineError: An array of another width, or with values that are not finite.
    """
    rest = iter(rows)
    first = list(_until_present(rest))
    dimension = first[-1][1].shape[-1] if first and first[-1][1] is not None else 0
    schema = with_metadata(SCHEMA, VERSION, {**about, "dimension": dimension})
    present = 0
    with (
        replacing(path) as part,
        pq.ParquetWriter(part, schema, compression="none", use_dictionary=False) as writer,
    ):
        for group in chunked(chain(first, rest), ROWS_PER_GROUP):
            cells = [_cell(utterance, array, dimension) for utterance, array in group]
            present += sum(cell["present"] for cell in cells)
            writer.write_table(pa.Table.from_pylist(cells, schema))
    return present, dimension


def _until_present(
    rows: Iterator[tuple[str, np.ndarray | None]],
) -> Iterator[tuple[str, np.ndarray | None]]:
    """The rows up to the first that has vectors, which tells how wide they are."""
    for utterance, array in rows:
        yield utterance, array
        if array is not None:
            return


def _cell(utterance: str, array: np.ndarray | None, dimension: int) -> dict[str, Any]:
    if array is None:
        return {"utterance": utterance, "present": False, "frames": 0, "values": b""}
    if array.ndim != 2 or array.shape[1] != dimension or not len(array):
        raise PipelineError(
            f"{utterance}: got features of shape {array.shape}, expected [frame, {dimension}]"
        )
    if not np.isfinite(array).all():
        raise PipelineError(f"{utterance}: its features are not all finite")
    values = np.ascontiguousarray(array, FLOATS).tobytes()
    return {"utterance": utterance, "present": True, "frames": len(array), "values": values}


def read_features(path: Path) -> Features:
    """Reads a store without a copy per row.

    Raises:
        PipelineError: The file is absent, of another version, or its counts do not fit its bytes.
    """
    about = read_about(path, VERSION)
    table = pq.read_table(path).combine_chunks()
    frames = table["frames"].to_numpy()
    offsets = np.concatenate([[0], np.cumsum(frames, dtype=np.int64)])
    values = _values(table["values"], about["dimension"])
    if len(values) != offsets[-1]:
        raise PipelineError(f"{path} holds {len(values)} rows, its counts say {offsets[-1]}")
    present = table["present"].to_numpy()
    return Features(table["utterance"].to_pylist(), present, offsets, values, about)


def _values(column: pa.ChunkedArray, dimension: int) -> np.ndarray:
    chunk = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not len(chunk):
        return np.zeros((0, dimension), FLOATS)
    _, ends, data = chunk.buffers()
    bounds = np.frombuffer(ends, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    if data is None or bounds[-1] == bounds[0]:
        return np.zeros((0, dimension), FLOATS)
    flat = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].view(FLOATS)
    return flat.reshape(-1, dimension)


def of_utterances(features: Features, utterances: Sequence[str]) -> np.ndarray:
    """Row numbers of utterances in a store.

    Raises:
        PipelineError: The store lacks one, so it was made from another manifest.
    """
    place = {name: row for row, name in enumerate(features.utterances)}
    lacking = [u for u in utterances if u not in place]
    if lacking:
        raise PipelineError(
            f"A feature store lacks {len(lacking)} utterances, such as {lacking[0]}; "
            "it was made from another manifest: run `dvc repro`."
        )
    return np.array([place[u] for u in utterances], np.int64)


VECTORS = pa.schema([("frames", pa.int32()), ("values", pa.large_binary())])


def vectors_row(vectors: np.ndarray) -> dict[str, Any]:
    """[frame, feature] float32 as a cache row."""
    return {"frames": len(vectors), "values": np.ascontiguousarray(vectors, FLOATS).tobytes()}


def vectors_in(batch: pa.RecordBatch) -> np.ndarray:
    """[frame, feature] float32 of a cache entry."""
    frames, values = batch["frames"][0].as_py(), batch["values"][0].as_buffer()
    return np.frombuffer(values, FLOATS).reshape(frames, -1)
