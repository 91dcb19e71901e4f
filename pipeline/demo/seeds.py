"""Random generators named by what they are for, so that no draw depends on another's order."""

import numpy as np

CAST, CONVERSATION, CLIP, QUIRKS, VOTES, TIMES, STAGE = range(7)


def generator(seed: int, *key: int) -> np.random.Generator:
    """A generator for one purpose.

    Args:
        seed: The corpus's seed.
        key: The purpose (a constant of this module) and what it is for, for example
            `(CLIP, split, dialogue, position)`.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
