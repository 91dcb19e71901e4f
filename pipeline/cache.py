"""The clip cache: what was computed once is never computed again.

An entry's name is made of *what computes* (a fingerprint of settings, weights, library versions
and code) and of *what is computed* (the content of the clip, its segment, or the text). So nothing
stale can be read, a killed stage goes on where it was, and a mended clip recomputes one clip. The
cache is no DVC output: `dvc repro` would wipe it before each run. Entries are written under a
temporary name and renamed, and carry a digest of their bytes, so that no run ever reads half of
one; several runs may share a cache.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.files import replacing

FOLDER = "ERC_CACHE"
DEFAULT = Path("data/cache")


def cache_root() -> Path:
    """Where entries lie: the environment variable ERC_CACHE, else data/cache."""
    return Path(os.environ.get(FOLDER) or DEFAULT)


def digest_of(*facts: Any) -> str:
    """Hex SHA-256 of facts that JSON can hold; the order of mapping keys does not matter."""
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ClipCache:
    """The entries of one step under one fingerprint.

    Args:
        step: What is computed: `frames`, `visual`, `audio`, `text`.
        fingerprint: Everything but the clip that the result depends on; JSON can hold it.
        schema: The Arrow columns of an entry, one row each.
        root: The cache's folder.

    Attributes:
        folder: Where its entries lie.
    """

    def __init__(
        self, step: str, fingerprint: Any, schema: pa.Schema, root: Path | None = None
    ) -> None:
        self.schema = schema
        columns = [(f.name, str(f.type)) for f in schema]
        self.folder = (root or cache_root()) / step / digest_of(fingerprint, columns)[:32]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether there is an entry of a key; only `get` tells whether it is whole."""
        return self._path(key).is_file()

    def get(self, key: str) -> pa.RecordBatch | None:
        """The entry of a key (`digest_of` the clip's content), None where there is none.

        An entry whose bytes are not those that were written is treated as absent.
        """
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, payload = data[:32], data[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        return pa.ipc.read_record_batch(pa.py_buffer(payload), self.schema)

    def put(self, key: str, row: dict[str, Any]) -> pa.RecordBatch:
        """Keeps a one-row entry and returns it as `get` will."""
        columns = [pa.array([row[f.name]], f.type) for f in self.schema]
        batch = pa.record_batch(columns, schema=self.schema)
        payload = batch.serialize().to_pybytes()
        with replacing(self._path(key)) as part:
            part.write_bytes(hashlib.sha256(payload).digest() + payload)
        return batch


def contents(root: Path | None = None) -> Iterator[tuple[str, str, int, int, float]]:
    """What a cache holds: step, fingerprint, entries, bytes, time of the newest entry (epoch)."""
    top = root or cache_root()
    for folder in sorted(top.glob("*/*")):
        files = [path.stat() for path in folder.glob("*/*") if path.is_file()]
        if files:
            newest = max(stat.st_mtime for stat in files)
            total = sum(stat.st_size for stat in files)
            yield folder.parent.name, folder.name, len(files), total, newest
