"""Pictures to one vector per frame, in batches across utterances."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from pipeline.cache import ClipCache, digest_of
from pipeline.chunks import chunked
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.extractors.images import decode_image
from pipeline.frames import Pictures
from pipeline.jobs import ordered_map

Encode = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]
Row = tuple[str, Pictures | None]
UTTERANCES_AT_ONCE = 64


def visual_of(
    rows: Iterable[Row], encode: Encode, cache: ClipCache
) -> Iterator[tuple[str, np.ndarray | None]]:
    """The vectors of each utterance's pictures, computed only if the cache lacks them.

    Args:
        rows: The frame store's.
        encode: Pictures to vectors, in order; a vector must not depend on its neighbours.
        cache: Of `VECTORS` rows.

    Yields:
        Utterance and its [frame, feature] vectors, None where missing.
    """
    for chunk in chunked(rows, UTTERANCES_AT_ONCE):
        yield from _chunk(chunk, encode, cache)


def _chunk(
    chunk: list[Row], encode: Encode, cache: ClipCache
) -> Iterator[tuple[str, np.ndarray | None]]:
    keys = [_key(pictures) for _, pictures in chunk if pictures is not None]
    found = {key: entry for key in keys if (entry := cache.get(key)) is not None}
    missing = {_key(p): p for _, p in chunk if p is not None and _key(p) not in found}
    encoded = [image for pictures in missing.values() for image in pictures.images]
    vectors = encode(ordered_map(decode_image, encoded))
    for key, pictures in missing.items():
        mine = np.stack(list(islice(vectors, len(pictures.images))))
        found[key] = cache.put(key, vectors_row(mine))
    for utterance, shown in chunk:
        yield utterance, None if shown is None else vectors_in(found[_key(shown)])


def _key(pictures: Pictures) -> str:
    return digest_of([hashlib.sha256(image).hexdigest() for image in pictures.images])
