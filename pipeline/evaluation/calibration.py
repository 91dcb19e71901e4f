"""Calibration: whether what a model gives a probability of 0.7 is right in 70 of 100 cases."""

import numpy as np
import pandas as pd

BINS = 10


def reliability(actual: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """How often the likeliest class is right, by its probability.

    Args:
        actual: [utterance] class numbers.
        probabilities: [seed, utterance, class]; the seeds are pooled.

    Returns:
        A row for each of `BINS` bins of equal width that holds a prediction: low and high end,
        mean confidence, accuracy (all from 0 to 1) and utterances (mean over seeds).
    """
    confidence, right = _confidence(actual, probabilities)
    rows = pd.DataFrame({"confidence": confidence.ravel(), "accuracy": right.ravel()})
    bins = np.minimum((rows["confidence"] * BINS).astype(int), BINS - 1)
    found = rows.groupby(bins).mean()
    counts = rows.groupby(bins).size() / len(probabilities)
    ends = pd.DataFrame({"low": found.index / BINS, "high": (found.index + 1) / BINS})
    return pd.concat(
        [ends, found.reset_index(drop=True), counts.reset_index(drop=True).rename("utterances")],
        axis=1,
    ).round(4)


def ece(actual: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error of one run (Guo et al., 2017, eq. 5), from 0 to 1.

    The mean over bins of |accuracy - confidence|, weighted by their utterances.

    Args:
        actual: [utterance] class numbers.
        probabilities: [utterance, class].
    """
    confidence, right = _confidence(actual, probabilities)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(actual))


def _confidence(actual: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[...] probability of the likeliest class, and whether it is the right one, 0.0 or 1.0."""
    right = probabilities.argmax(-1) == actual
    return probabilities.max(-1).astype(np.float64), right.astype(np.float64)
