"""The feature store of a modality: the vectors of every utterance, one row each.

A row's vectors are one binary cell of little-endian float32: Arrow then holds all rows' values end
to end, and they become one tensor without a copy per row (measured 2-2.75 GB/s against 0.2-0.4 for
list columns). The price is that other tools see bytes; `numpy.frombuffer(cell, "<f4")` reads one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa

from pipeline.base.errors import PipelineError
from pipeline.base.files import chunked
from pipeline.base.tables import (
    Provenance,
    opened,
    read_provenance,
    read_streamed,
    refused,
    schema_of,
    streaming,
)

VERSION = "features/1"
DIGEST = "sha256"  # of all rows, in the footer
LARGEST_DIMENSION = 10**6
ROWS_PER_GROUP = 128
FLOATS = np.dtype("<f4")


@dataclass(frozen=True)
class StoreRow:
    """A row of a store.

    Attributes:
        utterance: Id.
        present: False where the modality is missing; the row then has no vectors.
        frames: How many vectors; one for text and audio.
        values: [frame, feature] float32.
    """

    utterance: str
    present: bool
    frames: int
    values: Annotated[bytes, pa.large_binary()]


SCHEMA = schema_of(StoreRow)
# A cache entry of one utterance's vectors.
VECTORS = pa.schema([SCHEMA.field("frames"), SCHEMA.field("values")])


@dataclass(frozen=True)
class Features:
    """A modality's features of a whole corpus.

    Attributes:
        utterances: Ids, in manifest order.
        present: [utterance] bool; False where the modality is missing.
        offsets: [utterance + 1] first row of each utterance in `values`; a missing one has none.
        values: [frame, feature] float32; text and audio have one row per present utterance.
        provenance: Extractor, settings, encoder and its digest, library versions, dimension.
    """

    utterances: list[str]
    present: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    provenance: Provenance

    @property
    def dimension(self) -> int:
        """Features per row; 0 in an empty store."""
        return int(self.provenance["dimension"])

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the vectors and whose they are; provenance moves no number."""
        state = hashlib.sha256()
        for row, name in enumerate(self.utterances):
            _add(state, name, self.values[self.offsets[row] : self.offsets[row + 1]].data)
        return state.hexdigest()


def _add(state: Any, utterance: str, values: Any) -> None:
    state.update(f"{utterance!r} {len(values)} ".encode())
    state.update(values)


def write_features(
    path: Path, rows: Iterable[tuple[str, np.ndarray | None]], provenance: Provenance
) -> tuple[int, int]:
    """Streams a store to disk, whole or not at all.

    Args:
        path: Where to.
        rows: Utterance and its [frame, feature] vectors, None where missing; in manifest order.
        provenance: Extractor, settings, encoder and its digest, library versions.

    Returns:
        The number of utterances that have the modality, and of features; 0 where none has it.

    Raises:
        PipelineError: An array of another width, or with values that are not finite.
    """
    rest = iter(rows)
    first = list(_until_present(rest))
    dimension = first[-1][1].shape[-1] if first and first[-1][1] is not None else 0
    present, state = 0, hashlib.sha256()
    about, footer = {**provenance, "dimension": dimension}, dict[str, str]()
    with streaming(path, SCHEMA, VERSION, about, footer) as write:
        for group in chunked(chain(first, rest), ROWS_PER_GROUP):
            cells = [_row(utterance, vectors, dimension) for utterance, vectors in group]
            present += sum(cell.present for cell in cells)
            for cell in cells:
                _add(state, cell.utterance, cell.values)
            write(pa.Table.from_pylist([vars(cell) for cell in cells], SCHEMA))
        footer[DIGEST] = state.hexdigest()
    return present, dimension


def _until_present(
    rows: Iterator[tuple[str, np.ndarray | None]],
) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yields rows up to the first that has vectors, which shows how wide they are."""
    for utterance, vectors in rows:
        yield utterance, vectors
        if vectors is not None:
            return


def _row(utterance: str, vectors: np.ndarray | None, dimension: int) -> StoreRow:
    if vectors is None:
        return StoreRow(utterance, present=False, frames=0, values=b"")
    if vectors.ndim != 2 or vectors.shape[1] != dimension or not len(vectors):
        raise PipelineError(
            f"{utterance}: got features of shape {vectors.shape}, expected [frame, {dimension}]"
        )
    if not np.isfinite(vectors).all():
        raise PipelineError(f"{utterance}: its features are not all finite")
    return StoreRow(utterance, present=True, **vectors_row(vectors))


def vectors_row(vectors: np.ndarray) -> dict[str, Any]:
    """[frame, feature] float32 as a cache row, without a copy."""
    return {"frames": len(vectors), "values": np.ascontiguousarray(vectors, FLOATS).data}


def vectors_in(batch: pa.RecordBatch) -> np.ndarray:
    """[frame, feature] float32 of a cache entry."""
    frames, values = batch["frames"][0].as_py(), batch["values"][0].as_buffer()
    return np.frombuffer(values, FLOATS).reshape(frames, -1)


def read_features(path: Path) -> Features:
    """Reads a store without a copy per row.

    Raises:
        PipelineError: The file is missing, of another version, or not as it was written: an
            utterance stands twice, a row's counts do not fit its bytes, a value is not finite, or
            the digest is another.
    """
    table, provenance, footer = read_streamed(path, SCHEMA, VERSION)
    bounds, data = _cells(table["values"])
    frames, present = table["frames"].to_numpy(), table["present"].to_numpy()
    utterances, dimension = table["utterance"].to_pylist(), provenance.get("dimension")
    if not isinstance(dimension, int) or not present.any() <= dimension <= LARGEST_DIMENSION:
        raise refused(path, f"its dimension is {dimension!r}, expected a number of features")
    if repeated := [name for name, count in Counter(utterances).items() if count > 1]:
        raise refused(path, f"{len(repeated)} utterances stand in it twice, such as {repeated[0]}")
    sizes = frames.astype(np.int64) * dimension * FLOATS.itemsize
    if (wrong := ((frames > 0) != present) | (sizes != np.diff(bounds))).any():
        row = int(wrong.argmax())
        raise refused(
            path,
            f"{utterances[row]} is {'there' if present[row] else 'missing'}, but has "
            f"{bounds[row + 1] - bounds[row]} bytes of {frames[row]} frames of {dimension} float32",
        )
    offsets = np.concatenate([[0], np.cumsum(frames, dtype=np.int64)])
    values = data.view(FLOATS).reshape(offsets[-1], dimension)
    if not (finite := np.isfinite(values)).all():
        row = int(np.searchsorted(offsets, finite.all(axis=1).argmin(), side="right")) - 1
        raise refused(path, f"values of {utterances[row]} are NaN or infinite")
    features = Features(utterances, present, offsets, values, provenance)
    if features.digest != (stated := footer.get(DIGEST.encode(), b"none").decode()):
        raise refused(path, f"its rows have the SHA-256 {features.digest}, expected {stated}")
    return features


def read_presence(path: Path) -> tuple[Provenance, dict[str, bool]]:
    """Reads a store's provenance, and which utterances have the modality, without its vectors.

    Raises:
        PipelineError: The file is missing, of another version or damaged.
    """
    with opened(path, SCHEMA, VERSION) as file:
        table = file.read(columns=["utterance", "present"])
    there = zip(table["utterance"].to_pylist(), table["present"].to_pylist(), strict=True)
    return read_provenance(path, VERSION), dict(there)


def _cells(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """[row + 1] where each cell begins, and the bytes of all of them end to end."""
    if not len(column):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    chunk = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    _, ends, data = chunk.buffers()
    bounds = np.frombuffer(ends, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    if data is None:
        return bounds, np.zeros(0, np.uint8)
    return bounds, np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]


def of_utterances(features: Features, utterances: Sequence[str]) -> np.ndarray:
    """Looks up the row numbers of utterances in a store.

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
