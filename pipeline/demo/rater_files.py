"""The files of single raters, in EmoEvaluation's subfolders; their grammars are others.

No reader needs them, but one that looks into subfolders for evaluations will trip over them.
"""

from collections.abc import Iterator

from pipeline.demo.iemocap_text import Rating, Recorded

FOLDERS = ("Attribute", "Categorical", "Self-evaluation")


def rater_files(recorded: Recorded) -> Iterator[tuple[str, str]]:
    """Yields path below EmoEvaluation and text of each rater's two files."""
    name = recorded.dialogue
    for rater in sorted({r.rater for turn in recorded.turns for r in turn.ratings}):
        rated = [
            (turn.utterance, rating)
            for turn in recorded.turns
            for rating in turn.ratings
            if rating.rater == rater
        ]
        own = rater[0] in "FM"
        stem = f"{name}_{rater.lower()}"
        labels = "".join(f"{utterance} {_labels(rating)}\n" for utterance, rating in rated)
        numbers = "".join(f"{utterance} {_numbers(rating)}\n" for utterance, rating in rated)
        yield f"{'Self-evaluation' if own else 'Categorical'}/{stem}_cat.txt", labels
        yield f"{'Self-evaluation' if own else 'Attribute'}/{stem}_atr.txt", numbers


def _labels(rating: Rating) -> str:
    """For example `:Neutral state; (curious)`."""
    words = ("Neutral state" if label == "Neutral" else label for label in rating.labels)
    return " ".join(f":{word};" for word in words) + f" ({rating.comment})"


def _numbers(rating: Rating) -> str:
    values = (("act", rating.activation), ("val", rating.valence), ("dom", rating.dominance))
    return "".join(f":{name} {'' if v is None else v};  " for name, v in values) + "()"
