"""Published counts of IEMOCAP's labelled utterances by split, for the usual choices of both."""

from collections import Counter
from collections.abc import Mapping

from pipeline.corpora.published import Counts, unequal

SIX = ("hap", "sad", "neu", "ang", "exc", "fru")
LEARNT, TEST, ALL = ("train", "valid"), ("test",), ("train", "valid", "test")
ByGroup = dict[tuple[str, ...], dict[str, int]]


def _six(*numbers: int) -> dict[str, int]:
    return dict(zip(SIX, numbers, strict=True))


SESSION5: dict[tuple[str, str], ByGroup] = {
    ("six", "erc7433"): {
        LEARNT: _six(504, 839, 1324, 933, 742, 1468),
        TEST: _six(144, 245, 384, 170, 299, 381),
    },
    ("six", "consensus"): {
        LEARNT: _six(452, 839, 1324, 933, 742, 1468),
        TEST: _six(143, 245, 384, 170, 299, 381),
    },
    ("four", "consensus"): {ALL: {"hap": 1636, "sad": 1084, "neu": 1708, "ang": 1103}},
    ("four_no_exc", "consensus"): {ALL: {"hap": 595, "sad": 1084, "neu": 1708, "ang": 1103}},
}
COSMIC: ByGroup = {
    ("train",): _six(451, 771, 1221, 831, 593, 1296),
    ("valid",): _six(53, 68, 103, 102, 149, 172),
}


def published_splits(
    label_set: object, label_policy: str, splits: str, validation: str | None
) -> ByGroup:
    """The published class counts by group of splits; empty where none are known."""
    known = SESSION5.get((str(label_set), label_policy), {}) if splits == "session5" else {}
    is_cosmic = (label_set, label_policy, validation) == ("six", "erc7433", "cosmic")
    return known | COSMIC if known and is_cosmic else known


def split_differences(
    counts: Mapping[str, Counts], published: Mapping[tuple[str, ...], Counts]
) -> list[str]:
    """A line for each group that from the published counts.

    Args:
        counts: Labelled utterances by split and class.
        published: By group of splits, as `published_splits` gives them.
    """
    found = []
    for group, expected in published.items():
        pooled = sum((Counter(counts[split]) for split in group), Counter())
        differing = unequal(pooled, expected)
        if differing:
            found.append(f"{'+'.join(group)}: {differing}")
    return found
