"""Utterances to acoustic features."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.cache import ClipCache
from pipeline.errors import MediaError
from pipeline.extraction.keys import media_key
from pipeline.extraction.once import Entries, Failures, Piece
from pipeline.extraction.sound import RATE, sound_of
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.ledger import Problem
from pipeline.manifest import Utterance

Extract = Callable[[np.ndarray, int], np.ndarray]
Found = tuple[str, np.ndarray | None, list[Problem]]


@dataclass(frozen=True)
class AudioMaker:
    """Makes the cache entries of utterances' sound.

    Attributes:
        root: The raw folder that paths are relative to.
        extract: [sample] float32 and its rate in hertz to [feature]; it can be pickled.
        cache: Of `VECTORS` rows.
    """

    root: Path
    extract: Extract
    cache: ClipCache

    def __call__(self, pieces: Sequence[Piece]) -> Failures:
        """Puts the entry of each piece; returns what failed, by key."""
        failed: Failures = {}
        for piece in pieces:
            try:
                vector = self.extract(sound_of(self.root, piece.segment), RATE)
                self.cache.put(piece.key, vectors_row(vector[None]))
            except MediaError as error:
                failed[piece.key] = error
        return failed


def audio_of(utterances: Iterable[Utterance], make: AudioMaker) -> Iterator[Found]:
    """The features of each utterance's sound, computed only if the cache lacks them.

    Args:
        utterances: In manifest order.
        make: What makes them.

    Yields:
        Utterance, its [1, feature] vector (None where missing) and what went wrong.
    """
    files = ([Piece(u, u.audio, media_key(u.audio))] for u in utterances)
    for u, entry in Entries(make, make.cache, (__name__, "opensmile")).of(files):
        if isinstance(entry, MediaError):
            yield u.utterance, None, [Problem(u.utterance, "audio", entry.kind, entry.detail)]
        else:
            yield u.utterance, None if entry is None else vectors_in(entry), []
