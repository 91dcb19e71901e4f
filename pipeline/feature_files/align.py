"""Line up the turns of a feature file with the utterances of a manifest.

Ids decide where the file has them, else dialogue and position. Labels and words are witnesses: one
turn off, and every vector would carry its neighbour's label without anybody seeing it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from pipeline.base.display import short_name
from pipeline.base.errors import PipelineError
from pipeline.feature_files.contents import Contents, Turn
from pipeline.records.manifest import Utterance

SHOWN = 5
C1_CONTROLS = re.compile("[\x80-\x9f]")
NOT_ASCII = re.compile("[^\x00-\x7f]")


def aligned(
    path: Path,
    contents: Contents,
    utterances: Sequence[Utterance],
    classes: Sequence[str | None],
    codes: Mapping[str, str],
) -> list[int | None]:
    """The place in `contents.turns` of each utterance, None where the file has no turn of it.

    Args:
        path: Of the file, for messages.
        contents: What it holds.
        utterances: Of the manifest.
        classes: By utterance, its class by the file's label policy; None: a file that leaves
            unlabelled turns out has no turn of it.
        codes: Class by raw code, for the labels of the file.

    Raises:
        PipelineError: A turn is of no utterance, dialogues differ in length, or a label or a text
            is another one; the message has the number and the first few.
    """
    by_id = {turn.utterance: place for place, turn in enumerate(contents.turns) if turn.utterance}
    known = {u.utterance for u in utterances}
    named = len(by_id) == len(contents.turns)
    if named and (not known.isdisjoint(by_id) or not all(t.dialogue for t in contents.turns)):
        strangers = [f"{name} is of no utterance here" for name in by_id if name not in known]
        _refuse(path, strangers, "its ids are not all those of this corpus")
        places = [by_id.get(u.utterance) for u in utterances]
    else:
        places = _by_position(path, contents.turns, utterances, classes)
    pairs = [
        (u, contents.turns[place], name)
        for u, place, name in zip(utterances, places, classes, strict=True)
        if place is not None
    ]
    _refuse(path, _other_labels(pairs, codes), "its labels are not those of this corpus")
    texts = [
        f"{u.utterance}: {short_name(turn.text, 40)!r} there, {short_name(u.text, 40)!r} here"
        for u, turn, _ in pairs
        if turn.text and u.text and not same_words(turn.text, u.text)
    ]
    _refuse(path, texts, "its words are not those of this corpus")
    return places


def _by_position(
    path: Path,
    turns: Sequence[Turn],
    utterances: Sequence[Utterance],
    classes: Sequence[str | None],
) -> list[int | None]:
    """Match the k-th turn of a dialogue with its k-th utterance, or its k-th labelled one."""
    there: dict[str, list[int]] = {}
    for place, turn in enumerate(turns):
        there.setdefault(turn.dialogue, []).append(place)
    if len(list(groupby(turns, key=lambda turn: turn.dialogue))) > len(there):
        raise PipelineError(f"{path}: the turns of a dialogue do not stand together in it.")
    every: dict[str, list[int]] = {}
    labelled: dict[str, list[int]] = {}
    for row, (u, name) in enumerate(zip(utterances, classes, strict=True)):
        every.setdefault(u.dialogue, []).append(row)
        if name is not None:
            labelled.setdefault(u.dialogue, []).append(row)
    wrong = [f"{name} is no dialogue here" for name in there if name not in every]
    places: list[int | None] = [None] * len(utterances)
    for name in there.keys() & every.keys():
        rows = every[name] if len(every[name]) == len(there[name]) else labelled.get(name, [])
        if len(rows) != len(there[name]):
            wrong.append(f"{name} has {len(there[name])} turns there, {len(every[name])} here")
            continue
        for row, place in zip(rows, there[name], strict=True):
            places[row] = place
    _refuse(path, sorted(wrong), "its dialogues are not those of this corpus")
    return places


Pair = tuple[Utterance, Turn, str | None]


def _other_labels(pairs: Sequence[Pair], codes: Mapping[str, str]) -> list[str]:
    labelled = [(u, turn.emotion, name) for u, turn, name in pairs if turn.emotion is not None]
    if labelled and not any(code in codes for _, code, _ in labelled):
        codes = _numbered([(code, name) for _, code, name in labelled])
    # A code of no class, such as `xxx`, is no label on either side.
    return [
        f"{u.utterance}: {codes.get(code, code)} there, {name} here"
        for u, code, name in labelled
        if codes.get(code) != name
    ]


def _numbered(pairs: Sequence[tuple[str, str | None]]) -> dict[str, str]:
    """The class that most turns of each number have here, each class once."""
    taken: dict[str, str] = {}
    for (code, name), _ in Counter(pairs).most_common():
        if name is not None and code not in taken and name not in taken.values():
            taken[code] = name
    return taken


def same_words(one: str, other: str) -> bool:
    """Whether two texts are the same, however they were encoded and spaced."""
    one, other = mended(one), mended(other)
    if one == other:
        return True
    bare = [" ".join(NOT_ASCII.sub("", text).split()) for text in (one, other)]
    return bare[0] == bare[1]


def mended(text: str) -> str:
    """A text with single spaces, without what files did to it: cp1252, UTF-8 read as Latin-1."""
    with suppress(UnicodeError):
        if "\xe2\x80" in text or "\xc3" in text:
            text = text.encode("latin-1").decode("utf-8")
    text = C1_CONTROLS.sub(lambda m: m[0].encode("latin-1").decode("cp1252", "replace"), text)
    return " ".join(text.split())


def _refuse(path: Path, wrong: Sequence[str], what: str) -> None:
    if wrong:
        more = f"\n  and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        shown = "\n".join(f"  {line}" for line in wrong[:SHOWN])
        raise PipelineError(
            f"{path}: {what}: {len(wrong)} differ.\n{shown}{more}\nTake the file that was made of "
            "this release, or the reader `features`, whose manifest comes from the file."
        )
