"""Published counts of a release and of its splits, and how a tree differs from them.

A difference stops nothing: it is shown with its likely cause, because figures of a corpus that
lost a session or was edited compare with nobody's.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.records.manifest import Utterance

Counts = Mapping[str, int]
SENTIMENTS = ("positive", "negative")  # `neutral` counts by its emotion
Groups = Mapping[tuple[str, ...], Counts]


def groups(table: str) -> Groups:
    """Reads counts from a table: names in the first line, then a line per group.

    A group's name joins values by `+`; `all` is the whole release. `-` is an unknown count.
    """
    names, *lines = (line.split() for line in table.strip().splitlines())
    return {
        () if group == "all" else tuple(group.split("+")): {
            name: int(count) for name, count in zip(names, counts, strict=True) if count != "-"
        }
        for group, *counts in lines
    }


@dataclass(frozen=True)
class Published:
    """What a whole release holds.

    Counts are `dialogues`, `utterances`, `speakers`, and utterances of an emotion or sentiment
    code, by group of values of the manifest column `by` (none: the whole release).
    """

    by: str
    counts: Groups


@dataclass(frozen=True)
class PublishedSplits:
    """Labelled utterances of a whole release by class, under certain settings of `protocol`."""

    label_set: str
    label_policy: str
    splits: str
    counts: Groups  # by group of splits
    validation: str | None = None  # None where the counts do not depend on it


def split_differences(counts: Mapping[str, Counts], published: Groups) -> list[str]:
    """One line per group of splits whose labelled utterances by class differ from the published."""
    lines = []
    for splits, expected in published.items():
        pooled = sum((Counter(counts[split]) for split in splits), Counter())
        differing = unequal(pooled, expected)
        if differing:
            lines.append(f"{'+'.join(splits)}: {differing}")
    return lines


def differences(utterances: Sequence[Utterance], published: Published) -> list[str]:
    """One line per group whose counts differ from the published ones, with the likely cause."""
    lines = []
    for where, counts, expected in side_by_side(utterances, published):
        differing = unequal(counts, expected)
        if differing:
            lines.append(f"{where}: {differing}. Likely: {_cause(counts, expected)}")
    return lines


def side_by_side(
    utterances: Sequence[Utterance], published: Published
) -> Iterator[tuple[str, Counts, Counts]]:
    """Yields each group in words, its counts here, and the published ones."""
    rated = any(u.sentiment is not None for u in utterances)
    for values, counts in published.counts.items():
        # A file of features may have no sentiments; none is then compared.
        expected = {name: n for name, n in counts.items() if rated or name not in SENTIMENTS}
        chosen = [u for u in utterances if not values or getattr(u, published.by) in values]
        where = f"{published.by} {'+'.join(values)}" if values else "in all"
        yield where, _counts(chosen), expected


def unequal(counts: Counts, expected: Counts) -> str:
    """The counts that are not the expected ones, in words; empty if all are."""
    return ", ".join(
        f"{counts[name]} {name} (published {number})"
        for name, number in expected.items()
        if counts[name] != number
    )


def _counts(utterances: Sequence[Utterance]) -> Counter[str]:
    codes = Counter(u.emotion for u in utterances)
    # A code of both columns (MELD's `neutral`) counts by its emotion.
    codes += Counter(u.sentiment for u in utterances if u.sentiment not in codes)
    counts = Counter({code: n for code, n in codes.items() if code is not None})
    counts["utterances"] = len(utterances)
    counts["dialogues"] = len({u.dialogue for u in utterances})
    counts["speakers"] = len({u.speaker for u in utterances})
    return counts


def _cause(counts: Counts, expected: Counts) -> str:
    if not counts["utterances"]:
        return "its folder or annotation is not there, unpacked incompletely"
    dialogues = expected.get("dialogues", counts["dialogues"])
    if counts["dialogues"] < dialogues:
        return "whole dialogues are not there, unpacked incompletely"
    if counts["dialogues"] > dialogues:
        return "there are dialogues that the release lacks, files added or two releases mixed"
    if counts["utterances"] != expected.get("utterances", counts["utterances"]):
        return "the dialogues are there, turns are missing or added: annotation files were edited"
    return "every turn is there, labels differ: annotation was edited, or another release"
