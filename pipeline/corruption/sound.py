"""Sounds made worse: white noise added, stretches silenced."""

import numpy as np
from numpy.typing import NDArray

from pipeline.corruption.draws import generator_for
from pipeline.features.common.sound import RATE
from pipeline.media.audio import LARGEST

# A tenth of a second: some phones long.
STRETCH = RATE // 10
Sound = NDArray[np.float32]


def noisy(samples: Sound, ratio: float) -> Sound:
    """A sound with white Gaussian noise.

    Args:
        samples: [sample] within [-1, 32767/32768].
        ratio: Signal-to-noise ratio in dB: 10 log10 of the sound's mean square over the noise's.
            A sound that is silent throughout has none and is left as it is.

    Returns:
        [sample], clipped to the same range.
    """
    power = np.mean(np.square(samples, dtype=np.float64))
    if not power:
        return samples
    noise = generator_for("noise", samples).standard_normal(len(samples))
    wanted = power / 10 ** (ratio / 10)
    noise *= np.sqrt(wanted / np.mean(np.square(noise)))
    return np.clip(samples + noise, -1, LARGEST).astype(np.float32)


def silenced(samples: Sound, percent: float) -> Sound:
    """A sound with a share of it set to zero, in stretches of 0.1 s that are drawn one by one.

    Args:
        samples: [sample] at 16 kHz.
        percent: How likely a stretch is drawn.
    """
    stretches = -(-len(samples) // STRETCH)
    chosen = generator_for("silence", samples).random(stretches) < percent / 100
    return np.where(np.repeat(chosen, STRETCH)[: len(samples)], np.float32(0), samples)
