"""Any transformers encoder as an encoder of texts, with the turns before as context or without."""

import inspect
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.chunks import chunked
from pipeline.extractors.pretrained import LAYERS_AVERAGED, dtype_of, load_network
from pipeline.extractors.tokens import Tokens, TurnTokenizer
from pipeline.extractors.turns import Turn

# Padded lengths go up in steps of 2 as far as 16 tokens, 4 as far as 32, and so on: fine steps pad
# little where most texts are, coarse ones leave few batches to fill up where few are. With MELD's
# texts 7 % of all tokens are padding or filled up (steps of 8: 23 %), 33 % of 400 texts'.
STEPS_PER_LENGTH, LEAST_STEP = 8, 2


class TextEncoder:
    """A network in evaluation mode, fed in batches whose shape depends on each turn alone.

    A turn is padded to a length that its own number of tokens decides. Batches of a padded length
    hold as many turns as the budget allows and are filled up; so on a CPU a turn's vector does
    not depend on those it is run with.

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
        self.dimension = int(self.network.config.hidden_size)
        self.max_tokens = min(max_tokens, _longest(self.network))
        self.tokenizer = TurnTokenizer(folder, self.max_tokens)
        self.reads_types = _reads_types(self.network)

    def encode(self, turns: Sequence[Turn]) -> Iterator[tuple[int, np.ndarray]]:
        """Vectors of turns, the short ones first.

        Yields:
            A turn's place in `turns` and its [feature] float32.
        """
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
        ids = torch.full((rows, length), self.tokenizer.padding)
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
