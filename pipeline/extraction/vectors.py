"""Vectors in the clip cache: the entry of every feature extractor."""

from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.features import FLOATS

VECTORS = pa.schema([("frames", pa.int32()), ("values", pa.large_binary())])


def vectors_row(vectors: np.ndarray) -> dict[str, Any]:
    """[frame, feature] float32 as a cache row."""
    return {"frames": len(vectors), "values": np.ascontiguousarray(vectors, FLOATS).tobytes()}


def vectors_in(batch: pa.RecordBatch) -> np.ndarray:
    """[frame, feature] float32 of a cache entry."""
    frames, values = batch["frames"][0].as_py(), batch["values"][0].as_buffer()
    return np.frombuffer(values, FLOATS).reshape(frames, -1)
