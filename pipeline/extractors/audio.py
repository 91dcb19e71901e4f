"""openSMILE functionals: one vector for the sound of an utterance."""

import threading
from typing import Any

import numpy as np
import opensmile

from pipeline.errors import MediaError, PipelineError

# The longest window of the feature sets is 60 ms; shorter sounds are padded well beyond it.
LEAST_SECONDS = 0.2


class Functionals:
    """A feature set's functionals.

    Building openSMILE's object costs as much as a clip, and the object keeps state, so each
    thread gets one and keeps it.

    Args:
        feature_set: The name of an `opensmile.FeatureSet`.

    Raises:
        PipelineError: There is no such feature set.
    """

    def __init__(self, feature_set: str) -> None:
        known = sorted(name for name in vars(opensmile.FeatureSet) if name[0].isalpha())
        if feature_set not in known:
            raise PipelineError(
                f"audio.CORPUS.feature_set: got {feature_set!r}, expected one of {known}"
            )
        self._feature_set = getattr(opensmile.FeatureSet, feature_set)
        self._local = threading.local()
        self.names: list[str] = list(self._smile().feature_names)
        self.dimension = len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _local=threading.local())

    def _smile(self) -> opensmile.Smile:
        if not hasattr(self._local, "smile"):
            self._local.smile = opensmile.Smile(
                self._feature_set, opensmile.FeatureLevel.Functionals, num_workers=1
            )
        return self._local.smile

    def extract(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Functionals of a sound; silence is added to one that is too short.

        Args:
            samples: [sample] float32 within [-1, 32767/32768].
            rate: Hertz.

        Returns:
            [feature] float32.

        Raises:
            MediaError: `not_finite`: some functionals are no numbers for this sound.
        """
        least = int(LEAST_SECONDS * rate)
        padded = np.pad(samples, (0, max(0, least - len(samples))))
        vector: np.ndarray = self._smile()(padded, rate).reshape(-1).astype(np.float32)
        bad = int((~np.isfinite(vector)).sum())
        if bad:
            seconds = len(samples) / rate
            raise MediaError(
                "not_finite", f"{bad} of {self.dimension} functionals of {seconds:.2f} s"
            )
        return vector
