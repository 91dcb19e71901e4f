"""What the doctor says: one line each."""

from dataclasses import dataclass
from typing import Literal

GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; a run stops at what stands under FIX."""

    level: Literal["ok", "note", "FIX"]
    text: str


def good(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Something to know; a run goes on in spite of it."""
    return Finding("note", text)


def bad(text: str) -> Finding:
    """Something to fix; a run would stop at it."""
    return Finding("FIX", text)
