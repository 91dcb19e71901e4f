"""Statistics without absurd values: one of 1e30 would silence its column for all other rows."""

from collections.abc import Callable

import numpy as np

FACTOR = 1000.0
SHARE = 20  # at most one value in so many is absurd
# Standard over mean absolute deviation: 1.25 of a normal column, over 2 of a silenced one, unless
# it has few rows.
SUSPECT, FEW = 2.0, 100
VALUES_AT_ONCE = 2**24


def robust(
    rows: int,
    mean: np.ndarray,
    std: np.ndarray,
    deviation: np.ndarray,
    columns: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, of a column's believable values alone where it has others.

    Args:
        rows: How many there are.
        mean: [feature] of all rows.
        std: [feature] standard deviation of all rows.
        deviation: [feature] mean absolute deviation from the mean.
        columns: Gives [row, feature] of the features of these numbers.

    Returns:
        Two [feature] arrays.
    """
    mean, std = mean.copy(), std.copy()
    suspects = np.flatnonzero((std > SUSPECT * deviation) | (0 < rows <= FEW))
    at_once = max(1, VALUES_AT_ONCE // max(1, rows))
    for start in range(0, len(suspects), at_once):
        some = suspects[start : start + at_once]
        values = columns(some).astype(np.float64)
        believed = believable(values)
        wrong = ~believed.all(axis=0)
        mean[some[wrong]] = values[:, wrong].mean(axis=0, where=believed[:, wrong])
        std[some[wrong]] = values[:, wrong].std(axis=0, where=believed[:, wrong])
    return mean, std


def believable(values: np.ndarray) -> np.ndarray:
    """Which values of each column are not absurd.

    A value is absurd if it is among the outermost twentieth of its column, and over 1,000 times as
    far from the median as the root mean square of all that lie nearer. Heavy tails are not, nor is
    what stands out where hardly any value differs from the median: such a column has nothing else.

    Args:
        values: [row, feature] float64.

    Returns:
        [row, feature] bool.
    """
    distances = np.abs(values - np.median(values, axis=0))
    ordered = np.sort(distances, axis=0)
    counts = np.arange(1, len(ordered))[:, None]
    nearer = np.sqrt(np.cumsum(np.square(ordered[:-1]), axis=0) / counts)
    outermost = max(1, len(values) // SHARE)
    varies = ordered[-min(len(values), 2 * outermost)] > 0
    absurd = (ordered[1:] > FACTOR * nearer) & varies
    absurd[:-outermost] = False
    limits = np.where(absurd, ordered[1:], np.inf).min(axis=0, initial=np.inf)
    believed: np.ndarray = distances < limits
    return believed
