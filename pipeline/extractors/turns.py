"""What a text encoder reads: a turn, with the turns before it or without."""

from typing import NamedTuple


class Turn(NamedTuple):
    """A turn's text and those of the turns before it that are read with it, oldest first."""

    text: str
    before: tuple[str, ...] = ()
