"""Items in groups of a fixed length (itertools.batched, which Python 3.11 lacks)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunked(items: Iterable[T], length: int) -> Iterator[list[T]]:
    """Lists of `length` items, the last one shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, length)):
        yield chunk
