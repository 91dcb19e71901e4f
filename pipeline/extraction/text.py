"""Texts, with the turns round them or without, to one vector each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from pipeline.cache import ClipCache, digest_of
from pipeline.chunks import chunked
from pipeline.extraction.vectors import vectors_in, vectors_row
from pipeline.extractors.turns import Said, Turn, Window, turns
from pipeline.manifest import Utterance
from pipeline.settings.text import TextSettings

Encode = Callable[[Sequence[Turn]], Iterable[tuple[int, np.ndarray]]]
# Texts are sorted by length within so many: all of MELD at once, and 50 MB of vectors at most.
TEXTS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Reader:
    """A text encoder and what it has read before.

    Attributes:
        encode: Turns to their places and [feature] vectors, in any order; a vector must not
            depend on its neighbours.
        cache: Of `VECTORS` rows.
    """

    encode: Encode
    cache: ClipCache

    def vectors(self, wanted: Iterable[Turn]) -> dict[str, np.ndarray]:
        """[1, feature] of turns by key, computed only if the cache lacks it."""
        by_key = {_key(turn): turn for turn in wanted}
        found = {k: vectors_in(e) for k in by_key if (e := self.cache.get(k)) is not None}
        missing = [key for key in by_key if key not in found]
        for place, vector in self.encode([by_key[key] for key in missing]):
            key = missing[place]
            found[key] = vectors_in(self.cache.put(key, vectors_row(vector[None])))
        return found


@dataclass(frozen=True)
class Readers:
    """Which encoder reads which dialogue.

    Attributes:
        usual: Reads all that no other reads.
        parts: Readers that read some dialogues alone.
        part_of: Numbers of `parts` by dialogue.
    """

    usual: Reader
    parts: Sequence[Reader] = ()
    part_of: Mapping[str, int] = field(default_factory=dict)


def window_of(settings: TextSettings) -> Window:
    """How much of a dialogue is read with each turn."""
    return Window(settings.context_turns, settings.context_turns_after, settings.speaker_marks)


def text_of(
    utterances: Iterable[Utterance], window: Window, readers: Readers
) -> Iterator[tuple[str, np.ndarray]]:
    """The vector of each text.

    Args:
        utterances: In manifest order, so that a dialogue's turns stand together.
        window: How much of the dialogue is read with each.
        readers: What reads them.

    Yields:
        Utterance and its [1, feature] vector.
    """
    for chunk in chunked(read_turns(utterances, window), TEXTS_AT_ONCE):
        parts = [readers.part_of.get(u.dialogue) for u, _ in chunk]
        found = {}
        for part, reader in ((None, readers.usual), *enumerate(readers.parts)):
            mine = (turn for (_, turn), of in zip(chunk, parts, strict=True) if of == part)
            found[part] = reader.vectors(mine)
        for (u, turn), part in zip(chunk, parts, strict=True):
            yield u.utterance, found[part][_key(turn)]


def read_turns(utterances: Iterable[Utterance], window: Window) -> Iterator[tuple[Utterance, Turn]]:
    """What is read of each utterance; nothing of another dialogue ever is.

    Args:
        utterances: In manifest order.
        window: How much of the dialogue is read with each.
    """
    for _, group in groupby(utterances, key=lambda u: u.dialogue):
        dialogue = list(group)
        said = [Said(u.speaker, u.text) for u in dialogue]
        yield from zip(dialogue, turns(said, window), strict=True)


def _key(turn: Turn) -> str:
    """All that is read."""
    return digest_of(turn.text, turn.before, turn.after)
