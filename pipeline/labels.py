"""Label sets: which classes there are, in which order, and which raw codes fall into them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSet:
    """The classes of a task.

    Attributes:
        column: The manifest column that holds the raw code.
        classes: Class names in the field's order; a class's index is its number everywhere.
        codes: Raw code to class name; codes not named here have no label in this set.
    """

    column: str
    classes: tuple[str, ...]
    codes: dict[str, str]

    def index(self, code: str | None) -> int | None:
        """The class number of a raw code, or None where it has no class in this set."""
        name = self.codes.get(code) if code is not None else None
        return None if name is None else self.classes.index(name)


def _plain(column: str, *classes: str) -> LabelSet:
    return LabelSet(column, classes, {name: name for name in classes})


LABEL_SETS = {
    "emotion": _plain(
        "emotion", "neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"
    ),
    "sentiment": _plain("sentiment", "neutral", "positive", "negative"),
}
