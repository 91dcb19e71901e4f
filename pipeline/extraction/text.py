"""Texts to one vector each."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.cache import ClipCache, digest_of
from pipeline.chunks import chunked
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.manifest import Utterance

Encode = Callable[[Sequence[str]], np.ndarray]
TEXTS_AT_ONCE = 512


def text_of(
    utterances: Sequence[Utterance], encode: Encode, cache: ClipCache
) -> Iterator[tuple[str, np.ndarray]]:
    """The vector of each text, computed only if the cache lacks it.

    Args:
        utterances: In manifest order.
        encode: Texts to [text, feature]; a vector must not depend on its neighbours.
        cache: Of `VECTORS` rows.

    Yields:
        Utterance and its [1, feature] vector.
    """
    for chunk in chunked(utterances, TEXTS_AT_ONCE):
        keys = {u.text: digest_of(u.text) for u in chunk}
        found = {text: cache.get(key) for text, key in keys.items()}
        missing = [text for text, entry in found.items() if entry is None]
        if missing:
            for text, vector in zip(missing, encode(missing), strict=True):
                found[text] = cache.put(keys[text], vectors_row(vector[None]))
        for u in chunk:
            yield u.utterance, vectors_in(found[u.text])
