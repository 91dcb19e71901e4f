"""What a text encoder reads of an utterance: its words, and what is read round them."""

import string
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

SpeakerMarks = Literal["none", "names", "letters"]


class Window(NamedTuple):
    """How much of a dialogue is read with each of its turns.

    Attributes:
        before: Turns before it.
        after: Turns after it.
        speaker_marks: What stands before a turn to say whose it is; `none`: nothing; `names`: the
            speaker's name; `letters`: A for the speaker of the turn that is read, B, C, ... for
            the others, in the order in which they are met on the way back and then forward.
    """

    before: int = 0
    after: int = 0
    speaker_marks: SpeakerMarks = "none"


class Turn(NamedTuple):
    """A turn's text, and the pieces that are read with it.

    Attributes:
        text: Its words.
        before: What stands before them, oldest first.
        after: What stands after them, the next turn first.
    """

    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Said(NamedTuple):
    """Who says what."""

    speaker: str
    text: str


def turns(dialogue: Sequence[Said], window: Window) -> Iterator[Turn]:
    """What is read of each turn of a dialogue.

    With speaker marks the last piece before a turn is the mark of its own speaker, so that it is
    no part of the turn's words, and turns that say nothing are left out.

    Args:
        dialogue: Its turns in order.
        window: How much of it is read with each.
    """
    for place, own in enumerate(dialogue):
        before = dialogue[max(0, place - window.before) : place]
        after = dialogue[place + 1 : place + 1 + window.after]
        if window.speaker_marks == "none":
            yield Turn(own.text, tuple(s.text for s in before), tuple(s.text for s in after))
            continue
        before, after = ([s for s in some if s.text] for some in (before, after))
        met = [own.speaker, *(s.speaker for s in (*reversed(before), *after))]
        marks = _marks(list(dict.fromkeys(met)), window.speaker_marks)
        yield Turn(
            own.text,
            (*(f"{marks[s.speaker]} {s.text}" for s in before), marks[own.speaker]),
            tuple(f"{marks[s.speaker]} {s.text}" for s in after),
        )


def _marks(speakers: Sequence[str], kind: str) -> dict[str, str]:
    """The mark of each speaker, the turn's own first."""
    if kind == "names":
        return {name: f"{name}:" for name in speakers}
    letters = string.ascii_uppercase
    return {name: f"{letters[n % len(letters)]}:" for n, name in enumerate(speakers)}
