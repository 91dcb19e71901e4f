"""What a text encoder reads of an utterance: its words, and the turns round them."""

import string
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from pipeline.features.text.settings import TextSettings
from pipeline.records.manifest import Utterance

SpeakerMarks = Literal["none", "names", "letters"]


class Window(NamedTuple):
    """How many turns of a dialogue are read with each, and what before them says whose they are.

    `none`: nothing; `names`: the speaker's name; `letters`: A for the speaker of the turn that is
    read, B, C, ... for the others, in the order in which they are met on the way back and then
    forward.
    """

    before: int = 0
    after: int = 0
    speaker_marks: SpeakerMarks = "none"


def window_of(settings: TextSettings) -> Window:
    """How much of a dialogue the settings read with each turn."""
    return Window(settings.context_turns, settings.context_turns_after, settings.speaker_marks)


class Turn(NamedTuple):
    """A turn's text, and the pieces that are read before and after it, in that order."""

    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def read_turns(utterances: Iterable[Utterance], window: Window) -> Iterator[tuple[Utterance, Turn]]:
    """Pair each utterance, in manifest order, with what is read of it, never of another dialogue.

    With speaker marks the last piece before a turn is the mark of its own speaker, so that it is
    no part of the turn's words, and turns that say nothing are left out.
    """
    for _, group in groupby(utterances, key=lambda u: u.dialogue):
        dialogue = list(group)
        for place, own in enumerate(dialogue):
            before = dialogue[max(0, place - window.before) : place]
            after = dialogue[place + 1 : place + 1 + window.after]
            yield own, _turn(own, before, after, window.speaker_marks)


def _turn(
    own: Utterance, before: Sequence[Utterance], after: Sequence[Utterance], marks: SpeakerMarks
) -> Turn:
    if marks == "none":
        return Turn(own.text, tuple(u.text for u in before), tuple(u.text for u in after))
    before, after = ([u for u in some if u.text] for some in (before, after))
    met = dict.fromkeys([own.speaker, *(u.speaker for u in (*reversed(before), *after))])
    mark = _marks(list(met), marks)
    return Turn(
        own.text,
        (*(f"{mark[u.speaker]} {u.text}" for u in before), mark[own.speaker]),
        tuple(f"{mark[u.speaker]} {u.text}" for u in after),
    )


def _marks(speakers: Sequence[str], kind: SpeakerMarks) -> dict[str, str]:
    """The mark of each speaker, the turn's own first."""
    if kind == "names":
        return {name: f"{name}:" for name in speakers}
    letters = string.ascii_uppercase
    return {name: f"{letters[n % len(letters)]}:" for n, name in enumerate(speakers)}
