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

    def room(self, own: list[int], max_tokens: int, *, after: bool) -> int:
        """Tokens of context that fit beside a turn, with something after it or not."""
        special = len(self.first[0]) + (1 + after) * len(self.between[0]) + len(self.last[0])
        return max_tokens - special - len(own)


def between(form: Form, own: list[int], before: list[int], after: list[int]) -> Tokens:
    """A turn between its context.

    Args:
        form: How a pair is written.
        own: The turn's own tokens.
        before: Tokens of what stands before it.
        after: Tokens of what stands after it.
    """
    head = [form.first, _of(before, form.context), form.between]
    tail = [form.last]
    if after:
        # A third sentence has no type of its own: it takes the first one's, as context too.
        separator = _of(form.between[0], form.own)
        tail = [separator, _of(after, form.context), _of(form.last[0], form.context)]
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
