"""openSMILE: one vector for the sound of an utterance."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.base.errors import MediaError

# The longest window of the feature sets is 60 ms; shorter sounds are padded well beyond it.
LEAST_SECONDS = 0.2
LEVELS = {"functionals": "Functionals", "lld_pooled": "LowLevelDescriptors"}


@dataclass(frozen=True)
class Smile:
    """An `opensmile.FeatureSet` at one level; it serves one sound at a time.

    `functionals`: the feature set's own; `lld_pooled`: the mean and the standard deviation over
    time of each low-level descriptor, all means first, without frames that are not finite.
    """

    feature_set: str
    level: str

    def extract(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Compute the [feature] float32 of a sound; silence is added to one that is too short.

        The sound is [sample] float32 within [-1, 32767/32768], its rate in hertz. A feature that is
        not finite is a MediaError.
        """
        least = int(LEAST_SECONDS * rate)
        padded = np.pad(samples, (0, max(0, least - len(samples))))
        values: np.ndarray = _opensmile(self.feature_set, self.level)(padded, rate)[0]
        vector = pooled(values) if self.level == "lld_pooled" else values[:, 0]
        if bad := int((~np.isfinite(vector)).sum()):
            detail = f"{bad} of {len(vector)} features of {len(samples) / rate:.2f} s of sound"
            raise MediaError("not_finite", detail)
        return vector.astype(np.float32)


# Building openSMILE's object costs as much as a clip; it keeps state and is bound to its process.
@lru_cache(maxsize=1)
def _opensmile(feature_set: str, level: str) -> Any:
    import opensmile  # here, so that a run that finds everything in the cache does not wait for it

    chosen = getattr(opensmile.FeatureSet, feature_set)
    return opensmile.Smile(chosen, getattr(opensmile.FeatureLevel, LEVELS[level]), num_workers=1)


def pooled(descriptors: np.ndarray) -> np.ndarray:
    """Means and standard deviations over time: [feature, frame] to [2 * feature] float64.

    Values that are not finite do not count; a descriptor without any other gives NaN.
    """
    finite = np.isfinite(descriptors)
    values = np.where(finite, descriptors, 0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        mean = values.sum(1) / finite.sum(1)
        squares = np.where(finite, (values - mean[:, None]) ** 2, 0).sum(1)
        deviation = np.sqrt(squares / finite.sum(1))
    return np.concatenate([mean, deviation])
