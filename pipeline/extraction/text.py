"""Texts, with the turns before them or without, to one vector each."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from pipeline.cache import ClipCache, digest_of
from pipeline.chunks import chunked
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.extractors.turns import Turn
from pipeline.manifest import Utterance

Encode = Callable[[Sequence[Turn]], Iterable[tuple[int, np.ndarray]]]
# Texts are sorted by length within so many: all of MELD at once, and 50 MB of vectors at most.
TEXTS_AT_ONCE = 16_384


def text_of(
    utterances: Iterable[Utterance], context_turns: int, encode: Encode, cache: ClipCache
) -> Iterator[tuple[str, np.ndarray]]:
    """The vector of each text, computed only if the cache lacks it.

    Args:
        utterances: In manifest order, so that a dialogue's turns stand together.
        context_turns: How many turns of the dialogue are read before each.
        encode: Turns to their places and [feature] vectors, in any order; a vector must not
            depend on its neighbours.
        cache: Of `VECTORS` rows.

    Yields:
        Utterance and its [1, feature] vector.
    """
    for chunk in chunked(_turns(utterances, context_turns), TEXTS_AT_ONCE):
        turns = {_key(turn): turn for _, turn in chunk}
        found = {key: vectors_in(entry) for key in turns if (entry := cache.get(key)) is not None}
        missing = [key for key in turns if key not in found]
        for place, vector in encode([turns[key] for key in missing]):
            key = missing[place]
            found[key] = vectors_in(cache.put(key, vectors_row(vector[None])))
        for utterance, turn in chunk:
            yield utterance, found[_key(turn)]


def _turns(utterances: Iterable[Utterance], context_turns: int) -> Iterator[tuple[str, Turn]]:
    """What is read of each utterance."""
    before: deque[str] = deque(maxlen=context_turns)
    dialogue = None
    for u in utterances:
        if u.dialogue != dialogue:
            before.clear()
            dialogue = u.dialogue
        yield u.utterance, Turn(u.text, tuple(before))
        before.append(u.text)


def _key(turn: Turn) -> str:
    """All that is read; without context the text alone."""
    return digest_of(turn.text, *turn.before)
