"""Any transformers encoder as an encoder of texts, with the turns round them or without."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.chunks import chunked
from pipeline.extractors.pairs import Tokens
from pipeline.extractors.pretrained import dtype_of
from pipeline.extractors.reading import TextNetwork
from pipeline.extractors.tokens import TurnTokenizer
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
        pooling: As `TextNetwork` has it.
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
        self.device, self.tokens_per_batch = device, tokens_per_batch
        self.network = TextNetwork(folder, pooling)
        self.network.to(device, dtype_of(device, precision))
        self.dimension = self.network.dimension
        self.max_tokens = min(max_tokens, self.network.longest)
        self.tokenizer = TurnTokenizer(folder, self.max_tokens)

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
        batch = self.network.batch(filled, length, self.tokenizer.padding)
        vectors: np.ndarray = self.network(batch.to(self.device)).float().cpu().numpy()
        return vectors


def _padded_length(tokens: int, longest: int) -> int:
    step = LEAST_STEP
    while tokens > STEPS_PER_LENGTH * step:
        step *= 2
    return min(longest, max(1, math.ceil(tokens / step)) * step)
