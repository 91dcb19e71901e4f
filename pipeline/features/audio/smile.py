"""openSMILE: one vector for the sound of an utterance."""

from typing import Any

import numpy as np
import opensmile

from pipeline.base.errors import MediaError

# The longest window of the feature sets is 60 ms; shorter sounds are padded well beyond it.
LEAST_SECONDS = 0.2
LEVELS = {
    "functionals": opensmile.FeatureLevel.Functionals,
    "lld_pooled": opensmile.FeatureLevel.LowLevelDescriptors,
}


class Smile:
    """A feature set at one level.

    Building openSMILE's object costs as much as a clip, so it is built once; it keeps state, so
    it serves one sound at a time; and it is bound to its process, so a copy sent to another one
    builds its own.

    Args:
        feature_set: The name of an `opensmile.FeatureSet`.
        level: `functionals`: the feature set's own; `lld_pooled`: the mean and the standard
            deviation over time of each low-level descriptor, all means first. A descriptor's
            frames without a finite value are left out.
    """

    def __init__(self, feature_set: str, level: str) -> None:
        self.feature_set, self.level = feature_set, level
        self._smile: opensmile.Smile | None = None
        names = list(self._built().feature_names)
        if level == "lld_pooled":
            names = [f"{name}_{pooled}" for pooled in ("mean", "std") for name in names]
        self.names: list[str] = names
        self.dimension = len(names)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_smile": None}

    def _built(self) -> opensmile.Smile:
        if self._smile is None:
            self._smile = opensmile.Smile(
                getattr(opensmile.FeatureSet, self.feature_set), LEVELS[self.level], num_workers=1
            )
        return self._smile

    def extract(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Features of a sound; silence is added to one that is too short.

        Args:
            samples: [sample] float32 within [-1, 32767/32768].
            rate: Hertz.

        Returns:
            [feature] float32.

        Raises:
            MediaError: `not_finite`: some features are no numbers for this sound.
        """
        least = int(LEAST_SECONDS * rate)
        padded = np.pad(samples, (0, max(0, least - len(samples))))
        values: np.ndarray = self._built()(padded, rate)[0]
        vector = pooled(values) if self.level == "lld_pooled" else values[:, 0]
        bad = int((~np.isfinite(vector)).sum())
        if bad:
            seconds = len(samples) / rate
            raise MediaError(
                "not_finite", f"{bad} of {self.dimension} features of {seconds:.2f} s of sound"
            )
        return vector.astype(np.float32)


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
