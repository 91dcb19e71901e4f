"""Turns of a dialogue as a text encoder reads them: alone, or as a pair with the turns before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from pipeline.errors import PipelineError
from pipeline.extractors.pretrained import LOCAL, no_encoder
from pipeline.extractors.turns import Turn


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


class TurnTokenizer:
    """An encoder's own tokenizer.

    Turns before are joined by blanks and make a sentence pair with the turn, in the tokenizer's
    own form. Where the pair is too long, the context loses its first tokens; a turn that leaves
    it no room, or that has no tokens itself, is read alone, and cut at its end if it is too long.

    Args:
        folder: Its files.
        max_tokens: Longest input, special tokens included.

    Raises:
        PipelineError: The folder holds no tokenizer with words in it.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._tokenizer = _load(folder)
        self.max_tokens = max_tokens
        self.padding = int(self._tokenizer.pad_token_id)

    def tokens(self, turns: Sequence[Turn]) -> list[Tokens]:
        """Tokens of turns, in order."""
        if not turns:
            return []
        context = [" ".join(filter(None, turn.before)) for turn in turns]
        paired = self._fit_in_pairs([t.text for t in turns], context)
        found: dict[int, Tokens] = {}
        alone = [place for place in range(len(turns)) if place not in paired]
        if alone:
            texts = [turns[place].text for place in alone]
            single = self._tokenizer(texts, truncation=True, max_length=self.max_tokens)
            for place, ids in zip(alone, single["input_ids"], strict=True):
                found[place] = Tokens(ids, [0] * len(ids), [True] * len(ids))
        if paired:
            found |= self._pairs(sorted(paired), turns, context)
        return [found[place] for place in range(len(turns))]

    def _fit_in_pairs(self, texts: Sequence[str], context: Sequence[str]) -> set[int]:
        """Places of texts that have tokens and leave room for some of their context's."""
        with_context = [place for place, words in enumerate(context) if words]
        if not with_context:
            return set()
        if not self._tokenizer.is_fast:
            raise PipelineError(
                "text.CORPUS.context_turns: this encoder's tokenizer does not tell which tokens "
                "are the turn's own; set it to 0, or name an encoder that has a tokenizer.json."
            )
        room = self.max_tokens - self._tokenizer.num_special_tokens_to_add(pair=True)
        counts = [
            [len(ids) for ids in self._plain([words[place] for place in with_context])]
            for words in (texts, context)
        ]
        return {
            place
            for place, own, before in zip(with_context, *counts, strict=True)
            if 0 < own < room and before
        }

    def _plain(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def _pairs(
        self, places: list[int], turns: Sequence[Turn], context: Sequence[str]
    ) -> dict[int, Tokens]:
        self._tokenizer.truncation_side = "left"
        encoded = self._tokenizer(
            [context[place] for place in places],
            [turns[place].text for place in places],
            truncation="only_first",
            max_length=self.max_tokens,
            return_token_type_ids=True,
        )
        self._tokenizer.truncation_side = "right"
        return {
            place: Tokens(
                encoded["input_ids"][row],
                encoded["token_type_ids"][row],
                [sentence == 1 for sentence in encoded.sequence_ids(row)],
            )
            for row, place in enumerate(places)
        }


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
