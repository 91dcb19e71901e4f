"""Which pictures are computed, and in which batch: every distinct picture once."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.workers import ordered_map
from pipeline.records.frames import Pictures

Source = tuple[str, int]
CACHE_KIB = 16_000


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
        found = self._database.execute("SELECT 1 FROM entry WHERE name = ?", (entry,))
        return found.fetchone() is not None

    def add(self, entry: str, pictures: Sequence[bytes]) -> list[Source]:
        """Adds an entry's pictures.

        Args:
            entry: The cache key.
            pictures: Digest of each.

        Returns:
            Where each picture was seen first: the entry and the frame of it.
        """
        rows = [(digest, entry, frame) for frame, digest in enumerate(pictures)]
        self._database.execute("INSERT OR IGNORE INTO entry VALUES (?)", (entry,))
        self._database.executemany("INSERT OR IGNORE INTO picture VALUES (?, ?, ?)", rows)
        return [self._source(digest) for digest in pictures]

    def _source(self, digest: bytes) -> Source:
        found = self._database.execute(
            "SELECT entry, frame FROM picture WHERE digest = ?", (digest,)
        )
        entry, frame = found.fetchone()
        return entry, frame


Row = tuple[str, Pictures | None]
# Utterances that wait for a batch to fill, at most.
HELD = 1024


@dataclass(frozen=True)
class Plan:
    """What an utterance's vectors are made of.

    Attributes:
        utterance: Whose.
        key: Of its cache entry; None where the modality is missing.
        sources: Of each frame, the entry and frame to take its vector from; None takes the whole
            entry, which is there or was planned earlier.
        new: Frames that the network computes.
    """

    utterance: str
    key: str | None
    sources: Sequence[Source] | None = None
    new: Sequence[int] = ()


@dataclass
class Step:
    """At most one batch, and the utterances that are complete with it.

    Attributes:
        images: Encoded, those to compute.
        plans: Of the utterances, in order.
        batch: The images decoded, uint8 [batch_size, height, width, 3]; None before that, and
            where there are none.
    """

    images: list[bytes] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    batch: np.ndarray | None = None


@dataclass(frozen=True)
class _Named:
    row: Row
    key: str = ""
    digests: Sequence[bytes] = ()


def add_cached(rows: Iterable[Row], seen: SeenPictures, cache: ClipCache) -> None:
    """Adds the pictures of all utterances that the cache has."""
    for found in ordered_map(partial(_cached, cache), rows):
        if found is not None:
            seen.add(found.key, found.digests)


def steps(rows: Iterable[Row], seen: SeenPictures, batch_size: int) -> Iterator[Step]:
    """Plans utterances in order, in whole batches of pictures that were not seen before.

    Args:
        rows: The frame store's.
        seen: What the cache has; what is planned is added.
        batch_size: Pictures of a batch; the last one may be smaller.
    """
    step = Step()
    for plan, images in (_planned(named, seen) for named in ordered_map(_named, rows)):
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


def _named(row: Row) -> _Named:
    _, pictures = row
    if pictures is None:
        return _Named(row)
    digests = [hashlib.sha256(image).digest() for image in pictures.images]
    return _Named(row, digest_of([digest.hex() for digest in digests]), digests)


def _cached(cache: ClipCache, row: Row) -> _Named | None:
    named = _named(row)
    return named if named.key and cache.get(named.key) is not None else None


def _planned(named: _Named, seen: SeenPictures) -> tuple[Plan, list[bytes]]:
    """The plan of an utterance and the images that are to be computed for it."""
    utterance, pictures = named.row
    if pictures is None:
        return Plan(utterance, None), []
    if seen.has(named.key):
        return Plan(utterance, named.key), []
    sources = seen.add(named.key, named.digests)
    new = [frame for frame, source in enumerate(sources) if source == (named.key, frame)]
    return Plan(utterance, named.key, sources, new), [pictures.images[frame] for frame in new]
