"""Labels: which classes there are, which raw codes fall into them, and which code counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.records.manifest import Utterance


@dataclass(frozen=True)
class LabelSet:
    """The classes of a task."""

    column: str  # of the manifest, that holds the raw code: `emotion`, `sentiment` or `valence`
    classes: tuple[str, ...]  # in the field's order; a class's index is its number everywhere
    codes: Mapping[str, str]  # to class names; codes not named here have no label in this set

    def index(self, code: str | float | None) -> int | None:
        """The class number of a raw code, None where it has no class in this set."""
        name = self.codes.get(code) if isinstance(code, str) else None
        return None if name is None else self.classes.index(name)


@dataclass(frozen=True)
class Binned(LabelSet):
    """The classes of a continuous label: each has a part of its scale."""

    number: Callable[[float], int | None] = lambda _: None  # of the class of a rating, if any

    def index(self, code: str | float | None) -> int | None:
        """The class number of a rating."""
        return self.number(code) if isinstance(code, float) else None


def folded(column: str, classes: Mapping[str, list[str]]) -> LabelSet:
    """Makes a label set from the raw codes of each class."""
    codes = {code: name for name, folded_in in classes.items() for code in folded_in}
    return LabelSet(column, tuple(classes), codes)


def plain(column: str, *classes: str) -> LabelSet:
    """Makes a label set whose classes are raw codes."""
    return folded(column, {name: [name] for name in classes})


@dataclass(frozen=True)
class LabelPolicy:
    """A rule for which raw emotion code of an utterance counts, if any."""

    code: Callable[[Utterance], str | None]
    description: str  # what the label is, for reports


CONSENSUS = LabelPolicy(lambda u: u.emotion, "the one that the corpus' authors found")
