"""Sounds, pictures and texts made worse, each by a level; the content itself seeds what is random.

No level enters a seed: the noise of one step is that of the step before, only louder, and what a
step takes away was taken away at the steps after it too.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.base.cache import digest_of
from pipeline.features.common.sound import RATE
from pipeline.media.audio import LARGEST
from pipeline.records.manifest import Utterance

STRETCH = RATE // 10  # a tenth of a second: some phones long
Sound = NDArray[np.float32]
Picture = NDArray[np.uint8]
Extract = Callable[[Sound, int], NDArray[np.float32]]


def noisy_sound(samples: Sound, level: float) -> Sound:
    """Add white Gaussian noise to a sound, [sample] within [-1, 32767/32768], and clip it to that.

    `level` is the signal-to-noise ratio in dB: 10 log10 of the sound's mean square over the
    noise's. A sound that is silent throughout has none and is left as it is.
    """
    power = np.mean(np.square(samples, dtype=np.float64))
    if not power:
        return samples
    noise = generator_for("noise", samples).standard_normal(len(samples))
    wanted = power / 10 ** (level / 10)
    noise *= np.sqrt(wanted / np.mean(np.square(noise)))
    return np.clip(samples + noise, -1, LARGEST).astype(np.float32)


def silenced(samples: Sound, level: float) -> Sound:
    """Silence stretches of 0.1 s of a sound, [sample] at 16 kHz, each in `level` % of cases."""
    stretches = -(-len(samples) // STRETCH)
    chosen = generator_for("silence", samples).random(stretches) < level / 100
    return np.where(np.repeat(chosen, STRETCH)[: len(samples)], np.float32(0), samples)


def blurred(picture: Picture, level: float) -> Picture:
    """Blur RGB [height, width, 3] by a Gaussian with a standard deviation of `level` pixels."""
    if not level:
        return picture
    smooth: Picture = cv2.GaussianBlur(picture, (0, 0), level)
    return smooth


def noisy_picture(picture: Picture, level: float) -> Picture:
    """Add Gaussian noise to each pixel and colour of RGB [height, width, 3], round and clip.

    `level` is its standard deviation in grey levels (0 to 255).
    """
    noise = generator_for("noise", picture).standard_normal(picture.shape, np.float32)
    return np.clip(np.rint(picture + level * noise), 0, 255).astype(np.uint8)


def thinned(utterance: Utterance, level: float) -> Utterance:
    """Leave out each word of an utterance in `level` % of cases, down to the empty text.

    Each is drawn on its own, so texts of one word lose it as often as others lose theirs. A text
    that loses none stays as it is.
    """
    words = utterance.text.split()
    numbers = generator("word dropout", utterance.utterance).random(len(words))
    kept = [word for word, number in zip(words, numbers, strict=True) if number >= level / 100]
    return utterance if len(kept) == len(words) else replace(utterance, text=" ".join(kept))


def features_of(
    samples: Sound, rate: int, corrupt: Callable[[Sound], Sound], extract: Extract
) -> NDArray[np.float32]:
    """[feature] of a sound that is corrupted first; here, so that processes load no network."""
    return extract(corrupt(samples), rate)


def drawn(utterances: Iterable[str], percent: float, *facts: Any) -> set[str]:
    """Draw a share of utterances, rounded; those of a smaller share are among them.

    Other facts give other utterances.
    """
    order = sorted(utterances, key=lambda utterance: digest_of(*facts, utterance))
    return set(order[: round(len(order) * percent / 100)])


def generator(*facts: Any) -> np.random.Generator:
    """A generator seeded by facts that JSON can hold."""
    return np.random.default_rng(int(digest_of(*facts), 16))


def generator_for(corruption: str, content: np.ndarray) -> np.random.Generator:
    """A generator for a sound or a picture: the same content gets the same numbers."""
    return generator(corruption, hashlib.sha256(content.tobytes()).hexdigest())
