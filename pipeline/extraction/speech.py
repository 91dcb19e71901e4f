"""Utterances' sound to the vectors of a network: decoded by processes, read by this one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.cache import ClipCache
from pipeline.chunks import chunked
from pipeline.errors import MediaError
from pipeline.extraction.keys import media_key
from pipeline.extraction.sound import sound_of
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.jobs import isolated_map, patience_for
from pipeline.ledger import Problem
from pipeline.manifest import Segment, Utterance

# Processes are started anew for each so many; what is held of an utterance is its vector.
UTTERANCES_AT_ONCE = 512
Encode = Callable[[np.ndarray], np.ndarray]
Found = tuple[str, np.ndarray | None, list[Problem]]
Vectors = Mapping[str, np.ndarray | MediaError]


@dataclass(frozen=True)
class Decoder:
    """Decodes segments, in a process of its own.

    Attributes:
        root: The raw folder that paths are relative to.
    """

    root: Path

    def __call__(self, segment: Segment) -> np.ndarray | MediaError:
        """[sample] float32, mono, 16 kHz; or why there is none."""
        try:
            return sound_of(self.root, segment)
        except MediaError as error:
            return error


def speech_of(
    utterances: Iterable[Utterance], decode: Decoder, encode: Encode, cache: ClipCache
) -> Iterator[Found]:
    """The vector of each utterance's sound, computed only if the cache lacks it.

    Args:
        utterances: In manifest order.
        decode: Segments to samples; it can be pickled.
        encode: [sample] float32 at 16 kHz to [feature].
        cache: Of `VECTORS` rows.

    Yields:
        Utterance, its [1, feature] vector (None where missing) and what went wrong.
    """
    for chunk in chunked(utterances, UTTERANCES_AT_ONCE):
        segments = {media_key(u.audio): u.audio for u in chunk if u.audio.missing is None}
        found: dict[str, np.ndarray | MediaError] = {
            key: vectors_in(entry) for key in segments if (entry := cache.get(key)) is not None
        }
        lacking = {key: segment for key, segment in segments.items() if key not in found}
        waiting = deque(chunk)
        yield from _ready(waiting, found)
        sounds = isolated_map(decode, lacking.values(), _patience, (__name__,))
        for key, sound in zip(lacking, sounds, strict=True):
            found[key] = _made(key, sound, encode, cache)
            yield from _ready(waiting, found)


def _made(
    key: str, sound: np.ndarray | MediaError, encode: Encode, cache: ClipCache
) -> np.ndarray | MediaError:
    """The [1, feature] vector of a sound, kept in the cache; or why there is none."""
    if isinstance(sound, MediaError):
        return sound
    try:
        return vectors_in(cache.put(key, vectors_row(encode(sound)[None])))
    except MediaError as error:
        return error


def _ready(waiting: deque[Utterance], found: Vectors) -> Iterator[Found]:
    """Takes utterances off the front for as long as it is known what they have."""
    while waiting:
        u = waiting[0]
        vector = None if u.audio.missing is not None else found.get(media_key(u.audio))
        if vector is None and u.audio.missing is None:
            return
        waiting.popleft()
        if isinstance(vector, MediaError):
            problem = Problem(u.utterance, "audio", vector.kind, vector.detail)
            yield u.utterance, None, [problem]
        else:
            yield u.utterance, vector, []


def _patience(segment: Segment) -> float:
    return patience_for(segment.end or 0.0)
