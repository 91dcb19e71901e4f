"""Random numbers that depend on what is corrupted alone, so that a stronger step adds to a weaker.

No step enters a seed: the noise of one step is that of the step before, only louder, and what a
step takes away was taken away at the steps after it too.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from pipeline.base.cache import digest_of


def generator(*facts: Any) -> np.random.Generator:
    """A generator seeded by facts that JSON can hold."""
    return np.random.default_rng(int(digest_of(*facts), 16))


def generator_for(corruption: str, content: np.ndarray) -> np.random.Generator:
    """A generator for a sound or a picture: the same content gets the same numbers."""
    return generator(corruption, hashlib.sha256(content.tobytes()).hexdigest())


def drawn(utterances: Iterable[str], percent: float, *facts: Any) -> set[str]:
    """A share of utterances; those of a smaller share are among them.

    Args:
        utterances: Ids.
        percent: How many, rounded to whole utterances.
        facts: Other facts, other utterances.
    """
    order = sorted(utterances, key=lambda utterance: digest_of(*facts, utterance))
    return set(order[: round(len(order) * percent / 100)])
