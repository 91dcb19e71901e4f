"""Turns of a dialogue to token ids: a turn, and as much of its context as fits."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from transformers import AutoTokenizer

from pipeline.base.errors import PipelineError
from pipeline.features.common.pretrained import LOCAL, no_encoder
from pipeline.features.text.turns import Turn

Typed = tuple[list[int], list[int]]  # ids of tokens, and the type of each


@dataclass(frozen=True)
class Tokens:
    """A turn, with its context or without; [token] each."""

    ids: Sequence[int]
    types: Sequence[int]  # which of two sentences each belongs to
    pooled: Sequence[bool]  # whether a mean takes it in


class Form(NamedTuple):
    """A sentence pair as a tokenizer writes it: its special tokens, and the types of the two."""

    first: Typed  # before the first sentence
    between: Typed
    last: Typed
    context: int  # of the first sentence, which is context
    own: int  # of the second sentence, which is the turn's own

    def room(self, own: list[int], max_tokens: int, *, after: bool) -> int:
        """Tokens of context that fit beside a turn, with something after it or not."""
        special = len(self.first[0]) + (1 + after) * len(self.between[0]) + len(self.last[0])
        return max_tokens - special - len(own)


class TurnTokenizer:
    """An encoder's own tokenizer; no input has more than `max_tokens`, special tokens included.

    What stands before a turn is joined by blanks and makes a sentence pair with it, in the
    tokenizer's own form; what stands after it follows as a third sentence, behind the same
    separator. Where that is too long the context is cut, what is furthest from the turn first. A
    turn that leaves no room, or that has no tokens itself, is read alone, and cut at its end if
    it is too long. A folder without a tokenizer that knows words is refused.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._tokenizer = _load(folder)
        self.max_tokens = max_tokens
        self.padding = int(self._tokenizer.pad_token_id)

    def tokens(self, turns: Sequence[Turn]) -> list[Tokens]:
        """Tokenize turns, in order; refuse context if it cannot be told which tokens are whose."""
        tokens = self._with_context(turns)
        alone = [place for place in range(len(turns)) if place not in tokens]
        if alone:
            texts = [turns[place].text for place in alone]
            single = self._tokenizer(texts, truncation=True, max_length=self.max_tokens)
            for place, ids in zip(alone, single["input_ids"], strict=True):
                tokens[place] = Tokens(ids, [0] * len(ids), [True] * len(ids))
        return [tokens[place] for place in range(len(turns))]

    def _with_context(self, turns: Sequence[Turn]) -> dict[int, Tokens]:
        """Those of the turns that leave room for some of their context, by place."""
        places = [n for n, turn in enumerate(turns) if turn.before or turn.after]
        if not places:
            return {}
        if not self._tokenizer.is_fast:
            raise PipelineError(
                "CORPUS.text.context_turns, context_turns_after, speaker_marks: this encoder's "
                "tokenizer does not tell which tokens are the turn's own; set them to 0, 0 and "
                "none, or name an encoder that has a tokenizer.json."
            )
        own = self._plain([turns[place].text for place in places])
        sample = next((turns[p].text for p, ids in zip(places, own, strict=True) if ids), None)
        if sample is None:
            return {}
        form = self._form(sample)
        before = self._plain([_joined(turns[place].before) for place in places])
        after = self._plain([_joined(turns[place].after) for place in places])
        tokens: dict[int, Tokens] = {}
        for place, mine, b, a in zip(places, own, before, after, strict=True):
            room, earlier, later = form.room(mine, self.max_tokens, after=bool(a)), len(b), len(a)
            if earlier + later > room:
                earlier, later = kept(*self._counts(turns[place]), room)
            if mine and earlier + later:
                tokens[place] = between(form, mine, b[len(b) - earlier :], a[:later])
        return tokens

    def _plain(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def _counts(self, turn: Turn) -> tuple[list[int], list[int]]:
        """How many tokens each piece before a turn, and each after it, has in the joined text."""
        sides = [_joined(turn.before), _joined(turn.after)]
        given = self._tokenizer(sides, add_special_tokens=False, return_offsets_mapping=True)
        before, after = given["offset_mapping"]
        return _counts(before, turn.before), _counts(after, turn.after)

    def _form(self, text: str) -> Form:
        """How a pair is written, read off a text beside itself."""
        pair = self._tokenizer(text, text, return_token_type_ids=True)
        special: tuple[Typed, Typed, Typed] = ([], []), ([], []), ([], [])
        sentences, met = [0, 0], 0
        rows = zip(pair["input_ids"], pair["token_type_ids"], pair.sequence_ids(0), strict=True)
        for token, kind, sentence in rows:
            if sentence is None:
                special[met][0].append(token)
                special[met][1].append(kind)
            else:
                sentences[sentence], met = kind, sentence + 1
        return Form(*special, *sentences)


def between(form: Form, own: list[int], before: list[int], after: list[int]) -> Tokens:
    """Put a turn's own tokens between those of its context, in the form of a pair."""
    head = [form.first, _typed(before, form.context), form.between]
    tail = [form.last]
    if after:
        # A third sentence has no type of its own: it takes the first one's, as context too.
        separator = _typed(form.between[0], form.own)
        tail = [separator, _typed(after, form.context), _typed(form.last[0], form.context)]
    ids, types = (
        [list(chain.from_iterable(part[n] for part in parts)) for parts in (head, tail)]
        for n in (0, 1)
    )
    return Tokens(
        ids=[*ids[0], *own, *ids[1]],
        types=[*types[0], *_typed(own, form.own)[1], *types[1]],
        pooled=[False] * len(ids[0]) + [True] * len(own) + [False] * len(ids[1]),
    )


def _typed(ids: list[int], kind: int) -> Typed:
    return ids, [kind] * len(ids)


def kept(before: Sequence[int], after: Sequence[int], room: int) -> tuple[int, int]:
    """Count the tokens of the context before and after a turn that have room, the nearest first.

    Each side is given as the numbers of tokens of its pieces, in the order of the dialogue. The
    piece just before the turn comes first, then the one just after it, then those one further
    away, and so on; the first that has no room is cut, and all further ones are left out.
    """
    sides = [0, 0]
    pairs = zip_longest(reversed(before), after, fillvalue=0)
    for number, count in enumerate(chain.from_iterable(pairs)):
        taken = min(count, max(0, room - sum(sides)))
        sides[number % 2] += taken
        if taken < count:
            break
    return sides[0], sides[1]


def _joined(pieces: Sequence[str]) -> str:
    """Pieces as one text, so that each but the first follows a blank; empty ones are left out."""
    return " ".join(filter(None, pieces))


def _counts(spans: Sequence[tuple[int, int]], pieces: Sequence[str]) -> list[int]:
    """How many of the tokens, given where each lies in the joined text, belong to each piece."""
    starts, counts, piece = [0], [0] * sum(map(bool, pieces)), 0
    for text in filter(None, pieces):
        starts.append(starts[-1] + len(text) + 1)
    for _, end in spans:
        piece = max(piece, bisect_right(starts, max(0, end - 1)) - 1)
        counts[piece] += 1
    return counts


def _load(folder: Path) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
    except Exception as error:  # tokenizers raises no narrower class
        raise no_encoder(folder, "text encoder", error) from error
    # Without its files transformers makes a tokenizer that knows no words.
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise no_encoder(
            folder, "text encoder", "its tokenizer knows no words; get tokenizer.json."
        )
    if tokenizer.pad_token_id is None:
        raise no_encoder(folder, "text encoder", "its tokenizer has no padding token.")
    tokenizer.truncation_side = tokenizer.padding_side = "right"
    return tokenizer
