"""How IEMOCAP annotates a dialogue: its raters, and the text files that hold what they chose.

EmoEvaluation/<D>.txt, with tabs between the fields and a blank line after each block:

```
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]   Ses01F_impro01_F000 neu [2.5000, 2.5000, 2.5000]
C-E2:   Neutral;    ()
C-F1:   Neutral;    (curious)
A-E2:   val 3; act 2; dom  2;   ()
A-F1:   val 3; act 2; dom  1;   ()

```

transcriptions/<D>.txt: `Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.`
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.demo.conversation import EMOTIONS

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"
CLASSES = {
    "Neutral": "neu",
    "Frustration": "fru",
    "Excited": "exc",
    "Happiness": "hap",
    "Anger": "ang",
    "Sadness": "sad",
    "Other": "oth",
    "Surprise": "sur",
    "Fear": "fea",
    "Disgust": "dis",
}
NO_MAJORITY = "xxx"
EXTERNAL = ("E1", "E2", "E3", "E4")
EMOTION_OF = {code: word.lower() for word, code in CLASSES.items() if word != "Other"}
MEANS = {  # of valence, activation and dominance, from 1 to 5
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
RIGHT = 0.85  # a rater chooses the true label
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


@dataclass(frozen=True)
class Rating:
    """How one rater judges a turn: a line of labels (C) and one of numbers (A), each 1–5."""

    rater: str  # `E1` to `E6`, or `F1`, `M1` for the speaker's own report
    labels: tuple[str, ...]  # words of `CLASSES`; none is written as an empty line of labels
    valence: int | None
    activation: int | None
    dominance: int | None
    comment: str = ""  # in the brackets of the line of labels; the other line's stay empty


@dataclass(frozen=True)
class AnnotatedTurn:
    """A turn; times in seconds of the dialogue, `code` the majority's label or `xxx`."""

    utterance: str
    text: str
    start: float
    end: float
    code: str
    valence: float
    activation: float
    dominance: float
    ratings: tuple[Rating, ...]


@dataclass(frozen=True)
class Annotation:
    """The annotation of a dialogue; its turns are in the order of the transcription."""

    dialogue: str
    turns: tuple[AnnotatedTurn, ...]


def draw_raters(rng: np.random.Generator) -> tuple[str, ...]:
    """Draw three of the external raters, in order."""
    return tuple(sorted(rng.choice(EXTERNAL, 3, replace=False).tolist()))


def rate(
    rng: np.random.Generator, emotion: str, raters: tuple[str, ...], letter: str
) -> tuple[Rating, ...]:
    """Draw the external raters' judgements and mostly the report of the speaker, `F` or `M`."""
    reports = rng.random() >= NO_REPORT
    names = (*raters, f"{letter}1") if reports else raters
    return tuple(_rating(rng, emotion, name) for name in names)


def split_happiness(
    rng: np.random.Generator, raters: tuple[str, ...], letter: str
) -> tuple[Rating, ...]:
    """Ratings without a majority that are happiness once the speaker's report counts too."""
    labels = ("Happiness", "Excited", "Neutral", "Happiness")
    return tuple(
        replace(_rating(rng, "happiness", name), labels=(label,))
        for name, label in zip((*raters, f"{letter}1"), labels, strict=True)
    )


def consensus(ratings: Sequence[Rating]) -> str:
    """Code of the label that most of the three external raters chose, `xxx` if there is none."""
    votes = Counter(label for r in ratings if r.rater in EXTERNAL for label in r.labels)
    (label, most), (_, next_most) = [*votes.most_common(2), ("", 0), ("", 0)][:2]
    return CLASSES[label] if most >= 2 and most > next_most else NO_MAJORITY


def mean_numbers(ratings: Sequence[Rating]) -> tuple[float, float, float]:
    """Mean valence, activation and dominance of the external raters, to four decimals."""
    numbers = [(r.valence, r.activation, r.dominance) for r in ratings if r.rater in EXTERNAL]
    valence, activation, dominance = (_mean(list(values)) for values in zip(*numbers, strict=True))
    return valence, activation, dominance


def _mean(values: list[int | None]) -> float:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else 3.0


def _rating(rng: np.random.Generator, emotion: str, rater: str) -> Rating:
    valence, activation, dominance = (_number(rng, mean) for mean in MEANS[emotion])
    comment = COMMENTS[int(rng.integers(len(COMMENTS)))] if rng.random() < COMMENT else ""
    return Rating(rater, _chosen(rng, emotion), valence, activation, dominance, comment)


def _chosen(rng: np.random.Generator, emotion: str) -> tuple[str, ...]:
    if rng.random() < NO_LABEL:
        return ()
    first = emotion.title() if rng.random() < RIGHT else _mistaken(rng, emotion)
    second = _mistaken(rng, emotion)
    return (first, second) if rng.random() < SECOND and second != first else (first,)


def _mistaken(rng: np.random.Generator, emotion: str) -> str:
    other = EMOTIONS["iemocap"].draw_other(rng, emotion)
    return "Other" if rng.random() < OTHER else other.title()


def _number(rng: np.random.Generator, mean: float) -> int | None:
    missing = rng.random() < NO_NUMBER
    value = int(np.clip(round(rng.normal(mean, 0.6)), 1, 5))
    return None if missing else value


def evaluation_text(annotation: Annotation) -> str:
    """EmoEvaluation/<D>.txt: first the turns of the actor with the markers, then the other's."""
    first = annotation.dialogue[5]
    turns = sorted(annotation.turns, key=lambda turn: turn.utterance[-4] != first)
    return HEADER + "\n" + "".join(_block(turn) for turn in turns)


def transcription_text(annotation: Annotation) -> str:
    """transcriptions/<D>.txt: a line a turn, in the order of the conversation."""
    return "".join(
        f"{turn.utterance} [{turn.start:08.4f}-{turn.end:08.4f}]: {turn.text}\n"
        for turn in annotation.turns
    )


def rater_files(annotation: Annotation) -> Iterator[tuple[str, str]]:
    """Yield the two files of each rater: path below EmoEvaluation, and text.

    No reader needs them; one that looks for evaluations in subfolders stumbles over their grammar.
    """
    ratings = [(turn.utterance, rating) for turn in annotation.turns for rating in turn.ratings]
    for rater in sorted({rating.rater for _, rating in ratings}):
        mine = [(utterance, rating) for utterance, rating in ratings if rating.rater == rater]
        own = rater[0] in "FM"
        stem = f"{annotation.dialogue}_{rater.lower()}"
        labels = "".join(f"{utterance} {_own_labels(rating)}\n" for utterance, rating in mine)
        numbers = "".join(f"{utterance} {_own_numbers(rating)}\n" for utterance, rating in mine)
        yield f"{'Self-evaluation' if own else 'Categorical'}/{stem}_cat.txt", labels
        yield f"{'Self-evaluation' if own else 'Attribute'}/{stem}_atr.txt", numbers


def _block(turn: AnnotatedTurn) -> str:
    time = f"[{turn.start:.4f} - {turn.end:.4f}]"
    means = f"[{turn.valence:.4f}, {turn.activation:.4f}, {turn.dominance:.4f}]"
    lines = [f"{time}\t{turn.utterance}\t{turn.code}\t{means}"]
    for rating in turn.ratings:
        words = " ".join(f"{label};" for label in rating.labels) or "; ;"
        lines.append(f"C-{rating.rater}:\t{words}\t({rating.comment})")
    for rating in turn.ratings:
        values = (rating.valence, rating.activation, rating.dominance)
        valence, activation, dominance = ("" if value is None else value for value in values)
        lines.append(f"A-{rating.rater}:\tval {valence}; act {activation}; dom  {dominance};\t()")
    return "".join(f"{line}\n" for line in (*lines, ""))


def _own_labels(rating: Rating) -> str:
    """For example `:Neutral state; (curious)`."""
    words = ("Neutral state" if label == "Neutral" else label for label in rating.labels)
    return " ".join(f":{word};" for word in words) + f" ({rating.comment})"


def _own_numbers(rating: Rating) -> str:
    """For example `:act 2;  :val 3;  :dom 1;  ()`."""
    values = (("act", rating.activation), ("val", rating.valence), ("dom", rating.dominance))
    return "".join(f":{name} {'' if v is None else v};  " for name, v in values) + "()"
