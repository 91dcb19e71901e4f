"""Whether two outcomes can be compared utterance by utterance."""

from collections.abc import Mapping

from pipeline.records.predictions import TestSet


def apart(one: TestSet, other: TestSet) -> str:
    """In what the second differs, in words; "" where both were tested on the very same.

    That are equal utterances in equal dialogues with equal labels, of which there are the same
    classes in the same order; the order of the utterances does not matter.
    """
    if one.classes != other.classes:
        return f"other classes ({', '.join(other.classes)})"
    first, second = facts(one), facts(other)
    if first.keys() != second.keys():
        return f"other utterances ({len(first.keys() & second.keys())} are in both)"
    changed = sum(first[utterance] != second[utterance] for utterance in first)
    return f"other labels or dialogues of {changed} utterances" if changed else ""


def facts(test_set: TestSet) -> Mapping[str, tuple[str, int]]:
    """Dialogue and class number by utterance."""
    pairs = zip(test_set.dialogues, test_set.actual.tolist(), strict=True)
    return dict(zip(test_set.utterances, pairs, strict=True))
