"""Plan which pictures are computed, and in which batch: every distinct picture once."""

import errno
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.workers import ordered_map
from pipeline.records.features import vectors_in
from pipeline.records.frames import Pictures

Row = tuple[str, Pictures | None]
Source = tuple[str, int]  # the key of a cache entry, and a frame of it
CACHE_KIB = 16_000
# Utterances that are kept in memory, at most, for instance until a batch is full.
HELD = 1024


@contextmanager
def _full_disk_named() -> Iterator[None]:
    """SQLite's error of a full disk as the system's, with the place of temporary files."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        place = os.environ.get("SQLITE_TMPDIR") or tempfile.gettempdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place) from error


class SeenPictures:
    """Pictures by digest, in a temporary database on disk: memory does not grow with a corpus."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=OFF",
            f"PRAGMA cache_size=-{CACHE_KIB}",
            "CREATE TABLE entry (name TEXT PRIMARY KEY) WITHOUT ROWID",
            "CREATE TABLE picture (digest BLOB PRIMARY KEY, entry TEXT, frame INT) WITHOUT ROWID",
            "BEGIN",  # one transaction, never ended: nobody else reads it
        ):
            self._database.execute(statement)

    def has(self, entry: str) -> bool:
        """Whether the pictures of a cache entry were added."""
        rows = self._database.execute("SELECT 1 FROM entry WHERE name = ?", (entry,))
        return rows.fetchone() is not None

    def add(self, entry: str, digests: Sequence[bytes]) -> None:
        """Add the pictures of a cache entry; those that were seen before keep their source."""
        rows = [(digest, entry, frame) for frame, digest in enumerate(digests)]
        with _full_disk_named():
            self._database.execute("INSERT OR IGNORE INTO entry VALUES (?)", (entry,))
            self._database.executemany("INSERT OR IGNORE INTO picture VALUES (?, ?, ?)", rows)

    def source(self, digest: bytes) -> Source:
        """Where a picture was seen first."""
        rows = self._database.execute(
            "SELECT entry, frame FROM picture WHERE digest = ?", (digest,)
        )
        entry, frame = rows.fetchone()
        return entry, frame


@dataclass(frozen=True)
class Keyed:
    """A row of the frame store, the key of its cache entry, and the digests of its pictures."""

    row: Row
    key: str = ""  # where the modality is missing
    digests: Sequence[bytes] = ()


@dataclass(frozen=True)
class Plan:
    """What an utterance's vectors are made of."""

    utterance: str
    key: str  # of its cache entry; empty where the modality is missing
    # Where each frame's vector is taken from; None: the entry, which is there or planned earlier.
    sources: Sequence[Source] | None = None
    new: Sequence[int] = ()  # frames that the network computes


@dataclass
class Step:
    """At most one batch of encoded images, and the utterances that are complete with it."""

    images: list[bytes] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    batch: np.ndarray | None = None  # the images decoded, uint8 [batch_size, height, width, 3]


def look_up(rows: Iterable[Row], cache: ClipCache) -> Iterator[tuple[Keyed, np.ndarray | None]]:
    """Look up the [frame, feature] vectors of each row; None where the cache has none."""

    def looked_up(row: Row) -> tuple[Keyed, np.ndarray | None]:
        keyed = _keyed(row)
        entry = cache.get(keyed.key) if keyed.key else None
        return keyed, None if entry is None else vectors_in(entry)

    return ordered_map(looked_up, rows)


def steps(rows: Iterable[Row], seen: SeenPictures, batch_size: int) -> Iterator[Step]:
    """Plan utterances in order, in whole batches of pictures that were not `seen` before.

    What is planned is added to `seen`; the last batch may be smaller.
    """
    step = Step()
    for plan, images in (_planned(keyed, seen) for keyed in ordered_map(_keyed, rows)):
        for image in images:
            if len(step.images) == batch_size:
                yield step
                step = Step()
            step.images.append(image)
        step.plans.append(plan)
        # What the cache has waits for no batch, and not many wait for one that does not fill.
        if len(step.images) in (0, batch_size) or len(step.plans) >= HELD:
            yield step
            step = Step()
    if step.plans:
        yield step


def lacking(rows: Iterable[Row], cache: ClipCache) -> Iterator[str]:
    """Keys of the rows whose entry the cache lacks; pictures are read, not decoded."""
    keys = (_keyed(row).key for row in rows)
    return (key for key in keys if key and not cache.has(key))


def _keyed(row: Row) -> Keyed:
    _, pictures = row
    if pictures is None:
        return Keyed(row)
    digests = [hashlib.sha256(image).digest() for image in pictures.images]
    return Keyed(row, digest_of([digest.hex() for digest in digests]), digests)


def _planned(keyed: Keyed, seen: SeenPictures) -> tuple[Plan, list[bytes]]:
    """The plan of an utterance and the images that are to be computed for it."""
    utterance, pictures = keyed.row
    if pictures is None or seen.has(keyed.key):
        return Plan(utterance, keyed.key), []
    seen.add(keyed.key, keyed.digests)
    sources = [seen.source(digest) for digest in keyed.digests]
    new = [frame for frame, source in enumerate(sources) if source == (keyed.key, frame)]
    return Plan(utterance, keyed.key, sources, new), [pictures.images[frame] for frame in new]
