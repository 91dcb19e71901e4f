"""Who says what about a turn: three raters and mostly the speaker, who do not always agree."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.demo.emotions import EMOTIONS
from pipeline.demo.iemocap_text import CLASSES, NO_MAJORITY, Rating

EXTERNAL = ("E1", "E2", "E3", "E4")
WORDS = {
    "neutral": "Neutral",
    "sadness": "Sadness",
    "anger": "Anger",
    "happiness": "Happiness",
    "excited": "Excited",
    "frustration": "Frustration",
    "surprise": "Surprise",
    "fear": "Fear",
    "disgust": "Disgust",
}
EMOTION_OF = {CLASSES[word]: emotion for emotion, word in WORDS.items()}
FEELS = {  # valence, activation, dominance, from 1 to 5
    "neutral": (3.0, 2.4, 2.9),
    "sadness": (2.0, 2.1, 2.6),
    "anger": (1.7, 3.8, 4.0),
    "happiness": (4.1, 3.0, 3.1),
    "excited": (4.2, 3.8, 3.4),
    "frustration": (2.1, 3.0, 3.4),
    "surprise": (3.3, 3.5, 2.9),
    "fear": (2.0, 3.6, 2.2),
    "disgust": (1.9, 3.2, 3.4),
}
# Probabilities.
RIGHT = 0.85  # a rater says the true label
OTHER = 0.15  # of a wrong one: "Other"
SECOND, NO_LABEL, NO_NUMBER, NO_REPORT, COMMENT = 0.08, 0.02, 0.03, 0.1, 0.15
COMMENTS = (
    "curious",
    "mildly aggravated but staying polite, attitude",
    "sarcastic",
    "a bit blas\N{LATIN SMALL LETTER E WITH ACUTE}",
    "trying not to laugh",
    "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve",
)


def draw_raters(rng: np.random.Generator) -> tuple[str, ...]:
    """Three of the external raters, in order."""
    return tuple(sorted(rng.choice(EXTERNAL, 3, replace=False).tolist()))


def rate(
    rng: np.random.Generator, emotion: str, raters: tuple[str, ...], letter: str
) -> tuple[Rating, ...]:
    """How a turn is rated.

    Args:
        rng: Draws it.
        emotion: The true one.
        raters: The external ones.
        letter: `F` or `M`, of the speaker, who mostly reports too.
    """
    reports = rng.random() >= NO_REPORT
    names = (*raters, f"{letter}1") if reports else raters
    return tuple(_rating(rng, emotion, name) for name in names)


def split_happiness(
    rng: np.random.Generator, raters: tuple[str, ...], letter: str
) -> tuple[Rating, ...]:
    """Ratings without a majority that are happiness once the speaker's report counts too."""
    said = ("Happiness", "Excited", "Neutral", "Happiness")
    return tuple(
        replace(_rating(rng, "happiness", name), labels=(label,))
        for name, label in zip((*raters, f"{letter}1"), said, strict=True)
    )


def consensus(ratings: Sequence[Rating]) -> str:
    """Code of the label that most of the three external raters chose, `xxx` if there is none."""
    votes = Counter(label for rating in _external(ratings) for label in rating.labels)
    ranked = [*votes.most_common(2), ("", 0), ("", 0)]
    (label, most), (_, next_most) = ranked[:2]
    return CLASSES[label] if most >= 2 and most > next_most else NO_MAJORITY


def mean_numbers(ratings: Sequence[Rating]) -> tuple[float, float, float]:
    """Mean valence, activation and dominance of the external raters, to four decimals."""
    outside = _external(ratings)
    return (
        _mean([rating.valence for rating in outside]),
        _mean([rating.activation for rating in outside]),
        _mean([rating.dominance for rating in outside]),
    )


def _external(ratings: Sequence[Rating]) -> list[Rating]:
    return [rating for rating in ratings if rating.rater in EXTERNAL]


def _mean(values: list[int | None]) -> float:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else 3.0


def _rating(rng: np.random.Generator, emotion: str, rater: str) -> Rating:
    valence, activation, dominance = (_number(rng, mean) for mean in FEELS[emotion])
    comment = COMMENTS[int(rng.integers(len(COMMENTS)))] if rng.random() < COMMENT else ""
    return Rating(rater, _chosen(rng, emotion), valence, activation, dominance, comment)


def _chosen(rng: np.random.Generator, emotion: str) -> tuple[str, ...]:
    if rng.random() < NO_LABEL:
        return ()
    first = WORDS[emotion] if rng.random() < RIGHT else _mistaken(rng, emotion)
    second = _mistaken(rng, emotion)
    return (first, second) if rng.random() < SECOND and second != first else (first,)


def _mistaken(rng: np.random.Generator, emotion: str) -> str:
    other = EMOTIONS["iemocap"].draw_other(rng, emotion)
    return "Other" if rng.random() < OTHER else WORDS[other]


def _number(rng: np.random.Generator, mean: float) -> int | None:
    missing = rng.random() < NO_NUMBER
    value = int(np.clip(round(rng.normal(mean, 0.6)), 1, 5))
    return None if missing else value
