"""The two texts that annotate a dialogue of IEMOCAP: its evaluation and its transcription.

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

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Rating:
    """What one rater said of a turn: a line of labels (C) and one of numbers (A).

    Attributes:
        rater: `E1` to `E6`, or `F1`, `M1` for the speaker's own report.
        labels: Words of `CLASSES`; none is written as an empty line of labels.
        valence: 1–5, None for a number that is missing, as are the next two.
        activation: 1–5.
        dominance: 1–5.
        comment: In the brackets of the line of labels; the other line's stay empty.
    """

    rater: str
    labels: tuple[str, ...]
    valence: int | None
    activation: int | None
    dominance: int | None
    comment: str = ""


@dataclass(frozen=True)
class Spoken:
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
class Recorded:
    """A dialogue; its turns are in the order of the transcription."""

    dialogue: str
    turns: tuple[Spoken, ...]


def evaluation_text(recorded: Recorded) -> str:
    """EmoEvaluation/<D>.txt: first the turns of the actor with the markers, then the other's."""
    first = recorded.dialogue[5]
    turns = sorted(recorded.turns, key=lambda turn: turn.utterance[-4] != first)
    return HEADER + "\n" + "".join(_block(turn) for turn in turns)


def transcription_text(recorded: Recorded) -> str:
    """transcriptions/<D>.txt: a line a turn, in the order of the conversation."""
    return "".join(
        f"{turn.utterance} [{turn.start:08.4f}-{turn.end:08.4f}]: {turn.text}\n"
        for turn in recorded.turns
    )


def _block(turn: Spoken) -> str:
    time = f"[{turn.start:.4f} - {turn.end:.4f}]"
    means = f"[{turn.valence:.4f}, {turn.activation:.4f}, {turn.dominance:.4f}]"
    lines = [f"{time}\t{turn.utterance}\t{turn.code}\t{means}"]
    lines += [_labels(rating) for rating in turn.ratings]
    lines += [_numbers(rating) for rating in turn.ratings]
    return "".join(f"{line}\n" for line in (*lines, ""))


def _labels(rating: Rating) -> str:
    words = " ".join(f"{label};" for label in rating.labels) or "; ;"
    return f"C-{rating.rater}:\t{words}\t({rating.comment})"


def _numbers(rating: Rating) -> str:
    def number(value: int | None) -> str:
        return "" if value is None else str(value)

    valence, activation = number(rating.valence), number(rating.activation)
    return (
        f"A-{rating.rater}:\tval {valence}; act {activation}; dom  {number(rating.dominance)};\t()"
    )
