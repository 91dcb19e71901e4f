"""A turn written between its context as a sentence pair, and what is cut where that is too long."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import NamedTuple

Marked = tuple[list[int], list[int]]  # ids of tokens, and the type of each


@dataclass(frozen=True)
class Tokens:
    """A turn, with its context or without.

    Attributes:
        ids: [token].
        types: [token] which of two sentences each belongs to.
        pooled: [token] whether a mean takes it in.
    """

    ids: Sequence[int]
    types: Sequence[int]
    pooled: Sequence[bool]


class Pieces(NamedTuple):
    """Pieces of context as tokens.

    Attributes:
        ids: [token] of all pieces.
        counts: Tokens of each piece.
    """

    ids: list[int]
    counts: list[int]


class Form(NamedTuple):
    """A sentence pair as a tokenizer writes it.

    Attributes:
        first: The special tokens before the first sentence.
        between: Those between the sentences.
        last: Those after the second one.
        context: The type of the first sentence, which is context.
        own: The type of the second sentence, which is the turn's own.
    """

    first: Marked
    between: Marked
    last: Marked
    context: int
    own: int

    def special_tokens(self, *, after: bool) -> int:
        """How many there are round a turn, with something after it or not."""
        return len(self.first[0]) + (1 + after) * len(self.between[0]) + len(self.last[0])


def between(
    form: Form, own: list[int], before: Pieces, after: Pieces, max_tokens: int
) -> Tokens | None:
    """A turn between as much of its context as there is room for.

    Args:
        form: How a pair is written.
        own: The turn's own tokens.
        before: What stands before it, oldest first.
        after: What stands after it, nearest first.
        max_tokens: Longest input, special tokens included.

    Returns:
        None where nothing of the context has room, or the turn or the context has no tokens.
    """
    room = max_tokens - form.special_tokens(after=bool(after.ids)) - len(own)
    earlier, later = kept(before.counts, after.counts, room)
    if not own or not earlier + later:
        return None
    head = [form.first, _of(before.ids[len(before.ids) - earlier :], form.context), form.between]
    tail = [form.last]
    if later:
        # A third sentence has no type of its own: it takes the first one's, as context too.
        separator = _of(form.between[0], form.own)
        third, end = _of(after.ids[:later], form.context), _of(form.last[0], form.context)
        tail = [separator, third, end]
    ids, types = (
        [list(chain.from_iterable(part[n] for part in parts)) for parts in (head, tail)]
        for n in (0, 1)
    )
    return Tokens(
        ids=[*ids[0], *own, *ids[1]],
        types=[*types[0], *_of(own, form.own)[1], *types[1]],
        pooled=[False] * len(ids[0]) + [True] * len(own) + [False] * len(ids[1]),
    )


def _of(ids: list[int], kind: int) -> Marked:
    return ids, [kind] * len(ids)


def kept(before: Sequence[int], after: Sequence[int], room: int) -> tuple[int, int]:
    """How many tokens of the context before and after a turn have room, the nearest first.

    The piece just before the turn comes first, then the one just after it, then those one further
    away, and so on; the first that has no room is cut, and all further ones are left out.

    Args:
        before: Tokens of each piece, oldest first.
        after: Likewise, nearest first.
        room: In tokens.
    """
    found = [0, 0]
    pairs = zip_longest(reversed(before), after, fillvalue=0)
    for number, count in enumerate(chain.from_iterable(pairs)):
        taken = min(count, max(0, room - sum(found)))
        found[number % 2] += taken
        if taken < count:
            break
    return found[0], found[1]
