"""What an error about a feature file says: what is wrong, whom it concerns, what to do next."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from pipeline.base.display import short_name

SHOWN = 5
CONVERT = "convert it to npz where you trust it"
TAKE = (
    "take the file as its repository publishes it, or lay your own vectors out in the neutral "
    "folder: utterances.csv, and text.npz, audio.npz and visual.npz with ids and values"
)


class UnusableError(Exception):
    """Why a file cannot be used, as a clause, and what to do next."""

    def __init__(self, why: str, advice: str = TAKE) -> None:
        super().__init__(why)
        self.advice = advice


def some(names: Iterable[object]) -> str:
    """The first few names, and how many there are beyond them."""
    listed = [short_name(str(name), 60) for name in names]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def described(value: Any, depth: int = 0) -> str:
    """What a part of a file is: type, length, shape, and a sample of what it holds."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array {list(value.shape)}"
    if not isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} {short_name(repr(value), 30)}"
    head = f"{type(value).__name__} of {len(value)}"
    if not value or depth == 2:
        return head
    key = next(iter(value)) if isinstance(value, dict) else 0
    name = f"{short_name(repr(key), 40)}: " if isinstance(value, dict) else ""
    return f"{head}, such as {name}{described(value[key], depth + 1)}"
