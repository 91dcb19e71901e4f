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
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.base.files import MACHINE, PART, remove_orphan, replacing, write_text
from pipeline.base.paths import cache_root


def digest_of(*facts: Any) -> str:
    """Hex SHA-256 of facts that JSON can hold; the order of mapping keys does not matter."""
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ClipCache:
    """The entries of one step, a row of `schema` each, under one fingerprint.

    The fingerprint, which JSON can hold, is everything but the clip that the result depends on;
    `about` is what a person is told of it, such as a store's provenance.
    """

    def __init__(
        self,
        step: str,
        fingerprint: Any,
        schema: pa.Schema,
        root: Path | None = None,
        *,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.schema = schema
        columns = [(f.name, str(f.type)) for f in schema]
        self.folder = folder_of(step, fingerprint, columns, about=about or {}, root=root)
        self._scratch = self.folder / f".{MACHINE}"
        for part in self._scratch.glob(f".*{PART}"):  # once a run, not at each of a million puts
            remove_orphan(part)

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
        self._scratch.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(key), self._scratch) as part:
            part.write_bytes(hashlib.sha256(payload).digest() + payload)
        return batch


def folder_of(step: str, *facts: Any, about: Mapping[str, Any], root: Path | None = None) -> Path:
    """The folder of a step's entries under a fingerprint, marked as in use.

    The fingerprint are `facts`: everything but an entry's key that the entry depends on.
    """
    folder = (root or cache_root()) / step / digest_of(*facts)[:32]
    write_text(_about(folder), json.dumps(about, sort_keys=True, indent=1) + "\n")
    return folder


def _about(folder: Path) -> Path:
    """Where it stands in words what the entries of a folder were made with."""
    return folder.with_name(f"{folder.name}.json")


@dataclass(frozen=True)
class Held:
    """What a cache holds of one step under one fingerprint."""

    folder: Path  # in one that is named after the step
    entries: int
    total_bytes: int
    used: float  # when a run last read or wrote here, seconds since 1970
    about: Mapping[str, Any]  # what computed them, in words; empty where absent or damaged

    @property
    def step(self) -> str:
        """What was computed."""
        return self.folder.parent.name

    def delete(self) -> None:
        """Deletes the entries; a run that is using them computes them again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _about(self.folder).unlink(missing_ok=True)


def contents(root: Path | None = None) -> Iterator[Held]:
    """What a cache holds, in the order of steps and fingerprints."""
    top = root or cache_root()
    for folder in sorted(path for path in top.glob("*/*") if path.is_dir()):
        files = [p.stat() for p in folder.glob("*/[!.]*") if p.is_file()]  # no parts, no locks
        about = _about(folder)
        used = [stat.st_mtime for stat in (*files, *([about.stat()] if about.exists() else []))]
        if used:
            total = sum(stat.st_size for stat in files)
            yield Held(folder, len(files), total, max(used), _words(about))


def _words(about: Path) -> Mapping[str, Any]:
    try:
        words = json.loads(about.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # absent or damaged: only people read it
        return {}
    return words if isinstance(words, dict) else {}


def remove_orphans(root: Path | None = None) -> list[Path]:
    """Removes what killed processes left half-written in a cache, and returns what it was."""
    return [p for p in sorted((root or cache_root()).rglob(f".*{PART}")) if remove_orphan(p)]
