"""Which cache entry holds the vector of a picture, so that no picture is computed twice."""

import sqlite3
from collections.abc import Sequence

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
