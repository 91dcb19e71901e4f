"""What the doctor finds: something good, something to know, or something to mend first."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report."""

    level: Literal["ok", "note", "MEND"]
    text: str


def good(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """A run goes on in spite of it."""
    return Finding("note", text)


def bad(text: str) -> Finding:
    """A run would stop at it."""
    return Finding("MEND", text)
