"""Extractors that corrupt what they are given before they read it.

Apart from what makes them, which imports the networks: a process that hears sounds need not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.corruption.corruptions import Step
from pipeline.features.audio.extract import Extract
from pipeline.features.visual.stream import Encoder


@dataclass(frozen=True)
class CorruptedSound:
    """An extractor of sounds; it can be pickled if what it wraps can be.

    Attributes:
        step: Sounds to worse ones.
        extract: [sample] float32 and its rate in hertz to [feature].
    """

    step: Step
    extract: Extract

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Features of a sound once corrupted."""
        return self.extract(self.step(samples), rate)


class CorruptedPictures:
    """An encoder of pictures.

    Pictures are corrupted when they are decoded, so that the key of a cache entry is that of the
    stored pictures, and what the cache has is not corrupted only to be looked up.

    Args:
        step: Pictures to worse ones.
        encoder: Pictures to vectors.
    """

    def __init__(self, step: Step, encoder: Encoder) -> None:
        self.step, self.encoder = step, encoder
        self.batch_size = encoder.batch_size

    def room(self) -> np.ndarray:
        """Where to put the pictures of a batch."""
        return self.encoder.room()

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Corrupts a batch in its place and starts on it."""
        for picture in batch:
            picture[:] = self.step(picture)
        return self.encoder.start(batch)
