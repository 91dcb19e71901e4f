"""Turns as tokens, padded once and kept where the network is."""

import math
from collections.abc import Iterator, Sequence

from pipeline.chunks import chunked
from pipeline.extractors.pairs import Tokens
from pipeline.extractors.reading import TextNetwork, TurnBatch

TOKENS_AT_ONCE = 8192
# Kernels of a GPU want rows of whole multiples.
MULTIPLE_ON_GPU = 8


class PaddedTurns:
    """Turns of a split.

    Args:
        network: Whose batches they become.
        tokens: Of each turn.
        padding: The token to pad with.
        device: Where they are kept.

    Attributes:
        lengths: Tokens of each turn.
    """

    def __init__(
        self, network: TextNetwork, tokens: Sequence[Tokens], padding: int, device: str
    ) -> None:
        self.lengths = [len(of_turn.ids) for of_turn in tokens]
        self._multiple = MULTIPLE_ON_GPU if device == "cuda" else 1
        self._all = network.batch(tokens, max(self.lengths, default=0), padding).to(device)

    def batch(self, places: Sequence[int]) -> TurnBatch:
        """Some of the turns, padded to the longest of them."""
        longest = max(self.lengths[place] for place in places)
        return self._all.rows(places, math.ceil(longest / self._multiple) * self._multiple)

    def by_length(self) -> Iterator[list[int]]:
        """All places, in batches of turns of similar length and about as many tokens."""
        order = sorted(range(len(self.lengths)), key=lambda place: (self.lengths[place], place))
        longest = max(self.lengths, default=1)
        return iter(chunked(order, max(1, TOKENS_AT_ONCE // longest)))
