"""A transformers network that reads turns: one vector each, pooled over the turn's own tokens."""

import inspect
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.base.files import chunked
from pipeline.features.common.pretrained import LAYERS_AVERAGED, dtype_of, load_network
from pipeline.features.text.tokens import Tokens, TurnTokenizer
from pipeline.features.text.turns import Turn


class TurnBatch(NamedTuple):
    """The arguments of a network by name, each [row, token]."""

    inputs: dict[str, Tensor]
    pooled: Tensor  # 1 for the tokens that a mean takes in, else 0

    def to(self, device: str) -> "TurnBatch":
        """The batch on a device."""
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        return TurnBatch(inputs, self.pooled.to(device))

    def rows(self, places: Sequence[int], length: int) -> "TurnBatch":
        """Some of its rows, up to a length in tokens."""
        index = torch.tensor(places, device=self.pooled.device)
        inputs = {name: value[index, :length] for name, value in self.inputs.items()}
        return TurnBatch(inputs, self.pooled[index, :length])


class TextNetwork(nn.Module):
    """A pretrained network whose token vectors are pooled to one vector; refuse other folders.

    `cls` takes the first token of the last layer; `mean` all its tokens; `last4_mean` all tokens of
    the mean of the last four layers. In a pair the means take the turn's own tokens alone, without
    special ones.
    """

    def __init__(self, folder: Path, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.network = load_network(folder, "text encoder")
        self.dimension = int(self.network.config.hidden_size)  # of a vector
        self.longest = _longest(self.network)  # in tokens
        # Whether it tells the sentences of a pair apart by the types of their tokens.
        takes = "token_type_ids" in inspect.signature(self.network.forward).parameters
        self._reads_types = takes and getattr(self.network.config, "type_vocab_size", 0) > 1

    def batch(self, turns: Sequence[Tokens], length: int, padding: int) -> TurnBatch:
        """Pad turns, a row each, to a length in tokens, on the CPU; `padding` is a token's id."""
        rows = len(turns)
        ids = torch.full((rows, length), padding)
        types, mask, pooled = (torch.zeros(rows, length, dtype=torch.long) for _ in range(3))
        for row, turn in enumerate(turns):
            count = len(turn.ids)
            ids[row, :count] = torch.tensor(turn.ids)
            types[row, :count] = torch.tensor(turn.types)
            pooled[row, :count] = torch.tensor(turn.pooled)
            mask[row, :count] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._reads_types:
            inputs["token_type_ids"] = types
        return TurnBatch(inputs, pooled)

    def forward(self, batch: TurnBatch) -> Tensor:
        """[row, feature] of a batch."""
        output = self.network(**batch.inputs, output_hidden_states=self.pooling == "last4_mean")
        last: Tensor = output.last_hidden_state
        if self.pooling == "cls":
            return last[:, 0]
        if self.pooling == "last4_mean":
            last = torch.stack(output.hidden_states[-LAYERS_AVERAGED:]).mean(0)
        weights = batch.pooled.unsqueeze(-1).to(last.dtype)
        return (last * weights).sum(1) / weights.sum(1)


def _longest(network: Any) -> int:
    # The positions of RoBERTa and its kin (CamemBERT, MPNet) begin after a padding index, so two
    # of them are never used.
    positions = [m for name, m in network.named_modules() if name.endswith("position_embeddings")]
    padding = [getattr(p, "padding_idx", None) for p in positions]
    unused = max((index + 1 for index in padding if index is not None), default=0)
    return int(network.config.max_position_embeddings) - unused


# Padded lengths go up in steps of 2 as far as 16 tokens, 4 as far as 32, and so on: fine steps pad
# little where most texts are, coarse ones leave few batches to fill up where few are. With MELD's
# texts 7 % of all tokens are padding or filled up (steps of 8: 23 %), 33 % of 400 texts'.
STEPS_PER_LENGTH, LEAST_STEP = 8, 2


class TextEncoder:
    """A network in evaluation mode, fed in batches whose shape depends on each turn alone.

    A turn is padded to a length that its own number of tokens decides. Batches of a padded length
    hold as many turns as `tokens_per_batch` allows, padded ones counted, but one at least, and are
    filled up; so on a CPU a turn's vector does not depend on those it is run with.
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
        self.device, self.tokens_per_batch = device, tokens_per_batch
        self.network = TextNetwork(folder, pooling)
        self.network.to(device, dtype_of(device, precision))
        self.dimension = self.network.dimension
        self.max_tokens = min(max_tokens, self.network.longest)
        self.tokenizer = TurnTokenizer(folder, self.max_tokens)

    def encode(self, turns: Sequence[Turn]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the place in `turns` and the [feature] float32 vector of each, short ones first."""
        tokens = self.tokenizer.tokens(turns)
        lengths: dict[int, list[int]] = defaultdict(list)
        for place, of_turn in enumerate(tokens):
            lengths[_padded_length(len(of_turn.ids), self.max_tokens)].append(place)
        for length in sorted(lengths):
            rows = max(1, self.tokens_per_batch // length)
            for chunk in chunked(lengths[length], rows):
                vectors = self._forward([tokens[place] for place in chunk], rows, length)
                yield from zip(chunk, vectors, strict=False)

    @torch.inference_mode()
    def _forward(self, turns: Sequence[Tokens], rows: int, length: int) -> np.ndarray:
        """[row, feature] of turns; rows to fill up repeat the first."""
        filled = [*turns, *[turns[0]] * (rows - len(turns))]
        batch = self.network.batch(filled, length, self.tokenizer.padding)
        vectors: np.ndarray = self.network(batch.to(self.device)).float().cpu().numpy()
        return vectors


def _padded_length(tokens: int, longest: int) -> int:
    step = LEAST_STEP
    while tokens > STEPS_PER_LENGTH * step:
        step *= 2
    return min(longest, max(1, math.ceil(tokens / step)) * step)
