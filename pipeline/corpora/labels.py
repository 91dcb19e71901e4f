"""Labels: which classes there are, which raw codes fall into them, and which code counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.records.manifest import Utterance


@dataclass(frozen=True)
class LabelSet:
    """The classes of a task.

    Attributes:
        column: The manifest column that holds the raw code: `emotion` or `sentiment`.
        classes: Class names in the field's order; a class's index is its number everywhere.
        codes: Raw code to class name; codes not named here have no label in this set.
    """

    column: str
    classes: tuple[str, ...]
    codes: Mapping[str, str]

    def index(self, code: str | None) -> int | None:
        """The class number of a raw code, or None where it has no class in this set."""
        name = self.codes.get(code) if code is not None else None
        return None if name is None else self.classes.index(name)


def folded(column: str, classes: Mapping[str, list[str]]) -> LabelSet:
    """A label set from the raw codes of each class."""
    codes = {code: name for name, folded_in in classes.items() for code in folded_in}
    return LabelSet(column, tuple(classes), codes)


def _plain(column: str, *classes: str) -> LabelSet:
    return folded(column, {name: [name] for name in classes})


LABEL_SETS = {
    # MELD
    "emotion": _plain(
        "emotion", "neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"
    ),
    "sentiment": _plain("sentiment", "neutral", "positive", "negative"),
    # IEMOCAP; `oth` is a class of `all`, `xxx` (no majority) of none.
    "six": _plain("emotion", "hap", "sad", "neu", "ang", "exc", "fru"),
    "four": folded(
        "emotion", {"hap": ["hap", "exc"], "sad": ["sad"], "neu": ["neu"], "ang": ["ang"]}
    ),
    "four_no_exc": _plain("emotion", "hap", "sad", "neu", "ang"),
    "all": _plain("emotion", "hap", "sad", "neu", "ang", "exc", "fru", "sur", "fea", "dis", "oth"),
}
NO_MAJORITY = "xxx"
HAPPY = "hap"


def consensus(u: Utterance) -> str | None:
    """The code that the corpus' authors found."""
    return u.emotion


def erc7433(u: Utterance) -> str | None:
    """The code that the 7,433 six-class utterances of IEMOCAP's published pickles have.

    An utterance without a majority is happy if its speaker said so and nothing else, and no other
    label has as many votes, the speaker's included; a rater has one vote for each label named.
    """
    own = [code for vote in u.votes if vote.self_report for code in vote.codes]
    if u.emotion != NO_MAJORITY or own != [HAPPY]:
        return u.emotion
    counts = Counter(code for vote in u.votes for code in set(vote.codes))
    others = (number for code, number in counts.items() if code != HAPPY)
    return HAPPY if counts[HAPPY] > max(others, default=0) else u.emotion


LABEL_POLICIES = {"consensus": consensus, "erc7433": erc7433}
