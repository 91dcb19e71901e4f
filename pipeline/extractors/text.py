"""Any transformers encoder as an encoder of texts, with the turns before as context or without."""

import inspect
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from pipeline.chunks import chunked
from pipeline.errors import PipelineError
from pipeline.extractors.pretrained import (
    LAYERS_AVERAGED,
    LOCAL,
    dtype_of,
    load_network,
    no_encoder,
)

# Padded lengths go up in steps of 2 as far as 16 tokens, 4 as far as 32, and so on: fine steps pad
# little where most texts are, coarse ones leave few batches to fill up where few are. With MELD's
# texts 7 % of all tokens are padding or filled up (steps of 8: 23 %), 33 % of 400 texts'.
STEPS_PER_LENGTH, LEAST_STEP = 8, 2


class Turn(NamedTuple):
    """A turn's text and those of the turns before it that are read with it, oldest first."""

    text: str
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Tokens:
    """A turn as the network reads it.

    Attributes:
        ids: [token].
        types: [token] which of two sentences each belongs to.
        pooled: [token] whether a mean takes it in.
    """

    ids: Sequence[int]
    types: Sequence[int]
    pooled: Sequence[bool]


class TextEncoder:
    """A network in evaluation mode, fed in batches whose shape depends on each turn alone.

    A turn is padded to a length that its own number of tokens decides. Batches of a padded length
    hold as many turns as the budget allows and are filled up; so on a CPU a turn's vector does
    not depend on those it is run with.

    Turns before are joined by blanks and make a sentence pair with the turn, in the tokenizer's
    own form. Where the pair is too long, the context loses its first tokens; a turn that leaves
    it no room, or that has no tokens itself, is read alone.

    Args:
        folder: config.json, tokenizer files and model.safetensors.
        pooling: `cls`: first token of the last layer; `mean`: all its tokens; `last4_mean`: all
            tokens of the mean of the last four layers. In a pair the means take the turn's own
            tokens alone, without special ones.
        max_tokens: Longest input, special tokens included.
        device: `cpu`, `cuda` or `mps`.
        precision: `float32`; on cuda also `bfloat16` or `float16`. A CPU always uses float32.
        tokens_per_batch: Padded tokens per forward pass; a longer turn makes a batch alone.

    Raises:
        PipelineError: The folder holds no encoder that transformers can read.
    """

    def __init__(
        self,
        *,
        folder: Path,
        pooling: str,
        max_tokens: int,
        device: str,
        precision: str,
        tokens_per_batch: int,
    ) -> None:
        self.pooling, self.device, self.tokens_per_batch = pooling, device, tokens_per_batch
        self.network = load_network(folder, "text encoder")
        self.network.to(device, dtype_of(device, precision))
        self.tokenizer = _tokenizer(folder)
        self.dimension = int(self.network.config.hidden_size)
        self.max_tokens = min(max_tokens, _longest(self.network))
        self.reads_types = _reads_types(self.network)

    def encode(self, turns: Sequence[Turn]) -> Iterator[tuple[int, np.ndarray]]:
        """Vectors of turns, the short ones first.

        Yields:
            A turn's place in `turns` and its [feature] float32.
        """
        tokens = self._tokens(turns)
        lengths: dict[int, list[int]] = defaultdict(list)
        for place, of_turn in enumerate(tokens):
            lengths[_padded_length(len(of_turn.ids), self.max_tokens)].append(place)
        for length in sorted(lengths):
            rows = max(1, self.tokens_per_batch // length)
            for chunk in chunked(lengths[length], rows):
                vectors = self._forward([tokens[place] for place in chunk], rows, length)
                yield from zip(chunk, vectors, strict=False)

    def _tokens(self, turns: Sequence[Turn]) -> list[_Tokens]:
        """Tokens of turns, in order."""
        if not turns:
            return []
        context = [" ".join(filter(None, turn.before)) for turn in turns]
        paired = self._fit_in_pairs([t.text for t in turns], context)
        found: dict[int, _Tokens] = {}
        alone = [place for place in range(len(turns)) if place not in paired]
        if alone:
            texts = [turns[place].text for place in alone]
            single = self.tokenizer(texts, truncation=True, max_length=self.max_tokens)
            for place, ids in zip(alone, single["input_ids"], strict=True):
                found[place] = _Tokens(ids, [0] * len(ids), [True] * len(ids))
        if paired:
            found |= self._pairs(sorted(paired), turns, context)
        return [found[place] for place in range(len(turns))]

    def _fit_in_pairs(self, texts: Sequence[str], context: Sequence[str]) -> set[int]:
        """Places of texts that have tokens and leave room for some of their context's."""
        with_context = [place for place, words in enumerate(context) if words]
        if not with_context:
            return set()
        if not self.tokenizer.is_fast:
            raise PipelineError(
                "text.CORPUS.context_turns: this encoder's tokenizer does not tell which tokens "
                "are the turn's own; set it to 0, or name an encoder that has a tokenizer.json."
            )
        room = self.max_tokens - self.tokenizer.num_special_tokens_to_add(pair=True)
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
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def _pairs(
        self, places: list[int], turns: Sequence[Turn], context: Sequence[str]
    ) -> dict[int, _Tokens]:
        self.tokenizer.truncation_side = "left"
        encoded = self.tokenizer(
            [context[place] for place in places],
            [turns[place].text for place in places],
            truncation="only_first",
            max_length=self.max_tokens,
            return_token_type_ids=True,
        )
        self.tokenizer.truncation_side = "right"
        return {
            place: _Tokens(
                encoded["input_ids"][row],
                encoded["token_type_ids"][row],
                [sentence == 1 for sentence in encoded.sequence_ids(row)],
            )
            for row, place in enumerate(places)
        }

    @torch.inference_mode()
    def _forward(self, turns: Sequence[_Tokens], rows: int, length: int) -> np.ndarray:
        """[row, feature] of turns; rows to fill up repeat the first."""
        filled = [*turns, *[turns[0]] * (rows - len(turns))]
        ids = torch.full((rows, length), self.tokenizer.pad_token_id)
        types, mask, pooled = (torch.zeros(rows, length, dtype=torch.long) for _ in range(3))
        for row, turn in enumerate(filled):
            count = len(turn.ids)
            ids[row, :count] = torch.tensor(turn.ids)
            types[row, :count] = torch.tensor(turn.types)
            pooled[row, :count] = torch.tensor(turn.pooled)
            mask[row, :count] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.reads_types:
            inputs["token_type_ids"] = types
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        output = self.network(**inputs, output_hidden_states=True)
        return self._pooled(output, pooled.to(self.device)).float().cpu().numpy()

    def _pooled(self, output: Any, pooled: Tensor) -> Tensor:
        """[row, feature] of a network's output and the [row, token] that a mean takes in."""
        last: Tensor = output.last_hidden_state
        if self.pooling == "cls":
            return last[:, 0]
        if self.pooling == "last4_mean":
            last = torch.stack(output.hidden_states[-LAYERS_AVERAGED:]).mean(0)
        weights = pooled.unsqueeze(-1).to(last.dtype)
        return (last * weights).sum(1) / weights.sum(1)


def _tokenizer(folder: Path) -> Any:
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


def _reads_types(network: Any) -> bool:
    """Whether it tells the two sentences of a pair apart by the types of their tokens."""
    takes = "token_type_ids" in inspect.signature(network.forward).parameters
    return takes and getattr(network.config, "type_vocab_size", 0) > 1


def _longest(network: Any) -> int:
    # The positions of RoBERTa and its kin (CamemBERT, MPNet) begin after a padding index, so two
    # of them are never used.
    positions = [m for name, m in network.named_modules() if name.endswith("position_embeddings")]
    unused = max((p.padding_idx + 1 for p in positions if _padded(p)), default=0)
    return int(network.config.max_position_embeddings) - unused


def _padded(positions: Any) -> bool:
    return getattr(positions, "padding_idx", None) is not None


def _padded_length(tokens: int, longest: int) -> int:
    step = LEAST_STEP
    while tokens > STEPS_PER_LENGTH * step:
        step *= 2
    return min(longest, max(1, math.ceil(tokens / step)) * step)
