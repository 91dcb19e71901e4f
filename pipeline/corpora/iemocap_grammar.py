"""The two text formats of IEMOCAP: evaluations and transcriptions.

Parsing raises nothing: lines outside the grammar are skipped and counted by kind.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pipeline.records.manifest import Vote

CODES = {
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
NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,9})?"
HEAD = re.compile(rf"\[({NUMBER}) - ({NUMBER})\]\t(Ses\S+)\t([a-z]{{3}})\t\[(.+)\]\s*")
MEANS = re.compile(rf"({NUMBER}), *({NUMBER}), *({NUMBER})")
CATEGORIES = re.compile(r"C-([EFM][0-9]+):\t([^\t]*)(?:\t.*)?")
RATINGS = re.compile(
    r"A-([EFM][0-9]+):\tval *([0-9.]*); *act *([0-9.]*); *dom *([0-9.]*);(?:\t.*)?"
)
COMMENT = re.compile(r"%.*")
LINE = re.compile(rf"(Ses0[0-9][FM]_\S+_[FM][0-9]{{3}}) \[({NUMBER})-({NUMBER})\]:\s?(.*)")
TURN = re.compile(r"Ses0[0-9][FM]_\S+_[FM][0-9]{3}\b.*")
UNTIMED = "transcription lines without times"
UNNAMED = "transcription lines without a turn's name"
DOUBTFUL = "transcription lines with XX in the turn's name"
OUTSIDE = "transcription lines outside the grammar"
EVALUATION = "evaluation lines outside the grammar"


@dataclass
class Evaluation:
    """The raters' labels and mean ratings of one turn."""

    code: str | None  # `xxx` where no majority was found, None where there is no evaluation
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None
    votes: dict[str, Vote] = field(default_factory=dict)  # by rater, in the file's order


@dataclass(frozen=True)
class Line:
    """A transcribed turn; times in seconds from the dialogue's beginning."""

    turn: str
    start: float
    end: float
    text: str


def parse_evaluations(text: str, skipped: Counter[str]) -> dict[str, Evaluation]:
    """Parses `EmoEvaluation/<dialogue>.txt` by turn; counts by kind the lines that are skipped."""
    evaluations: dict[str, Evaluation] = {}
    current: Evaluation | None = None
    for line in _lines(text):
        head = HEAD.fullmatch(line)
        if head:
            current = _evaluation(head, skipped)
            if evaluations.setdefault(head[3], current) is not current:
                skipped["evaluations of a turn that has one already"] += 1
        elif not COMMENT.fullmatch(line) and not _rated(line, current, skipped):
            skipped[EVALUATION] += 1
    return evaluations


def _evaluation(head: re.Match[str], skipped: Counter[str]) -> Evaluation:
    means = MEANS.fullmatch(head[5])
    if means is None:
        skipped["evaluations without three mean ratings"] += 1
        return Evaluation(head[4])
    valence, activation, dominance = map(float, means.groups())
    return Evaluation(head[4], valence, activation, dominance)


def _rated(line: str, current: Evaluation | None, skipped: Counter[str]) -> bool:
    """Adds a rater's line to the turn it belongs to; False if it is not such a line."""
    categories, ratings = CATEGORIES.fullmatch(line), RATINGS.fullmatch(line)
    match = categories or ratings
    if match is None or current is None:
        return False
    vote = current.votes.get(match[1]) or Vote(match[1], self_report=match[1][0] in "FM")
    if categories:
        words = [word.strip() for word in categories[2].split(";") if word.strip()]
        skipped["votes without a label"] += not words
        skipped["labels outside the vocabulary"] += sum(word not in CODES for word in words)
        vote = replace(vote, codes=[CODES.get(word, word) for word in words])
    elif ratings:
        valence, activation, dominance = (_number(value) for value in ratings.groups()[1:])
        skipped["ratings without a number"] += None in (valence, activation, dominance)
        vote = replace(vote, valence=valence, activation=activation, dominance=dominance)
    current.votes[match[1]] = vote
    return True


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(NUMBER, text) else None


def parse_transcription(text: str, skipped: Counter[str]) -> list[Line]:
    """Parses `transcriptions/<dialogue>.txt` in its order; counts the lines that are skipped."""
    turns: dict[str, Line] = {}
    for line in _lines(text):
        match = LINE.fullmatch(line)
        if match is None:
            skipped[_kind(line)] += 1
        elif match[1] in turns:
            skipped["transcriptions of a turn that has one already"] += 1
        else:
            turns[match[1]] = Line(match[1], float(match[2]), float(match[3]), match[4])
    return list(turns.values())


def _kind(line: str) -> str:
    first = line.split(maxsplit=1)[0]
    if first.startswith("Ses") and "XX" in first:
        return DOUBTFUL
    if re.match(r"[FM]\s*:", line):
        return UNNAMED
    return UNTIMED if TURN.fullmatch(line) else OUTSIDE


def _lines(text: str) -> Iterator[str]:
    """Lines that are not blank; LF, CRLF and CR end a line, and none of latin-1's stranger ends."""
    return (line for line in re.split(r"\r\n?|\n", text) if line.strip())
