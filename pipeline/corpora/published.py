"""Counts that others published of a whole release, and how a tree differs from them.

A difference stops nothing: it is told with its likely cause, because a corpus that lost a session
or was edited gives figures that compare with nobody's.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.records.manifest import Utterance

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Published:
    """What a whole release holds.

    Attributes:
        by: The manifest column that divides it: `official_split` or `session`.
        counts: By group of that column's values (none: the whole release): `dialogues`,
            `utterances`, `speakers`, and utterances of an emotion or sentiment code.
    """

    by: str
    counts: Mapping[tuple[str, ...], Counts]


def differences(utterances: Sequence[Utterance], published: Published) -> list[str]:
    """A line for each group that differs from the published counts, with the likely cause."""
    found = []
    for where, counts, expected in side_by_side(utterances, published):
        differing = unequal(counts, expected)
        if differing:
            found.append(f"{where}: {differing}. Likely: {_cause(counts, expected)}")
    return found


def side_by_side(
    utterances: Sequence[Utterance], published: Published
) -> Iterator[tuple[str, Counts, Counts]]:
    """Each group in words, what was counted of it, and what was published."""
    for parts, expected in published.counts.items():
        chosen = [u for u in utterances if not parts or getattr(u, published.by) in parts]
        where = f"{published.by} {'+'.join(parts)}" if parts else "in all"
        yield where, _counted(chosen), expected


def unequal(found: Counts, expected: Counts) -> str:
    """The counts that are not the expected ones, as words; empty if all are."""
    return ", ".join(
        f"{found[name]} {name} (published {number})"
        for name, number in expected.items()
        if found[name] != number
    )


def _counted(utterances: Sequence[Utterance]) -> Counter[str]:
    counts = Counter(u.emotion for u in utterances)
    # A code of both columns (MELD's `neutral`) counts by its emotion.
    sentiments = Counter(u.sentiment for u in utterances if u.sentiment not in counts)
    counts += sentiments
    known = Counter({code: n for code, n in counts.items() if code is not None})
    known["utterances"] = len(utterances)
    known["dialogues"] = len({u.dialogue for u in utterances})
    known["speakers"] = len({u.speaker for u in utterances})
    return known


def _cause(found: Counts, expected: Counts) -> str:
    if not found["utterances"]:
        return "its folder or annotation is not there, unpacked incompletely"
    dialogues = expected.get("dialogues", found["dialogues"])
    if found["dialogues"] < dialogues:
        return "whole dialogues are not there, unpacked incompletely"
    if found["dialogues"] > dialogues:
        return "there are dialogues that the release lacks, files added or two releases mixed"
    if found["utterances"] != expected.get("utterances", found["utterances"]):
        return "the dialogues are there, turns are missing or added: annotation files were edited"
    return "every turn is there, labels differ: annotation was edited, or another release"
