"""IEMOCAP as `IEMOCAP_full_release` unpacks: five sessions of dialogues between two actors.

An utterance's picture is a stretch of the dialogue's video, in which each actor has one half; its
sound is a file of its own. The order of a dialogue is that of its transcription: evaluations list
one speaker's turns and then the other's, and start times overlap. The two parsers raise nothing:
lines outside their grammar are skipped and counted by kind.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.corpora.published import Published
from pipeline.corpora.tree import (
    RawCorpus,
    ReaderOptions,
    names_in,
    read_bytes,
    unpacked,
    wrong_tree,
)
from pipeline.records.manifest import Segment, Utterance, Vote

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
    """What the raters said of one turn.

    Attributes:
        code: Three letters; `xxx` where no majority was found, None where there is no evaluation.
        valence: Mean of the raters, None where unstated; activation and dominance likewise.
        votes: By rater, in the file's order.
    """

    code: str | None
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None
    votes: dict[str, Vote] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A transcribed turn; times in seconds from the dialogue's beginning."""

    turn: str
    start: float
    end: float
    text: str


def parse_evaluations(text: str, skipped: Counter[str]) -> dict[str, Evaluation]:
    """The evaluations of a dialogue by turn.

    Args:
        text: The content of `EmoEvaluation/<dialogue>.txt`.
        skipped: Gets a count for each kind of line that is passed over.
    """
    found: dict[str, Evaluation] = {}
    current: Evaluation | None = None
    for line in _lines(text):
        head = HEAD.fullmatch(line)
        if head:
            current = _evaluation(head, skipped)
            if found.setdefault(head[3], current) is not current:
                skipped["evaluations of a turn that has one already"] += 1
        elif not COMMENT.fullmatch(line) and not _rated(line, current, skipped):
            skipped[EVALUATION] += 1
    return found


def _evaluation(head: re.Match[str], skipped: Counter[str]) -> Evaluation:
    means = MEANS.fullmatch(head[5])
    if means is None:
        skipped["evaluations without three mean ratings"] += 1
        return Evaluation(head[4])
    valence, activation, dominance = map(float, means.groups())
    return Evaluation(head[4], valence, activation, dominance)


def _rated(line: str, current: Evaluation | None, skipped: Counter[str]) -> bool:
    """Adds a rater's line to the turn it belongs to; False if it is no such line."""
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
    """The turns of a dialogue in the order they are transcribed, which is the dialogue's order.

    Args:
        text: The content of `transcriptions/<dialogue>.txt`.
        skipped: Gets a count for each kind of line that is passed over.
    """
    found: dict[str, Line] = {}
    for line in _lines(text):
        match = LINE.fullmatch(line)
        if match is None:
            skipped[_kind(line)] += 1
        elif match[1] in found:
            skipped["transcriptions of a turn that has one already"] += 1
        else:
            found[match[1]] = Line(match[1], float(match[2]), float(match[3]), match[4])
    return list(found.values())


def _kind(line: str) -> str:
    first = line.split(maxsplit=1)[0]
    if first.startswith("Ses") and "XX" in first:
        return DOUBTFUL
    if re.match(r"[FM]\s*:", line):
        return UNNAMED
    return UNTIMED if TURN.fullmatch(line) else OUTSIDE


def _lines(text: str) -> Iterator[str]:
    """Lines that are not blank; only LF and CRLF end a line, since latin-1 has stranger ends."""
    return (line.rstrip("\r") for line in text.split("\n") if line.strip())


SESSION = re.compile(r"session[ _-]?0?([1-5])", re.IGNORECASE)
DIALOGUE = re.compile(r"(Ses0[1-5][FM]_\w+)\.txt")
EXPECTED = (
    "Session1 to Session5, each with dialog/transcriptions, dialog/EmoEvaluation, "
    "dialog/avi/DivX and sentences/wav"
)
PUBLISHED = Published(
    "session",
    {
        ("1",): {"dialogues": 28, "utterances": 1819},
        ("2",): {"dialogues": 30, "utterances": 1811},
        ("3",): {"dialogues": 32, "utterances": 2136},
        ("4",): {"dialogues": 30, "utterances": 2103},
        ("5",): {
            **{"dialogues": 31, "utterances": 2170, "hap": 143, "sad": 245},
            **{"neu": 384, "ang": 170, "exc": 299, "fru": 381},
        },
        (): {
            **{
                "dialogues": 151,
                "utterances": 10039,
                "xxx": 2507,
                "fru": 1849,
                "neu": 1708,
                "ang": 1103,
            },
            **{"sad": 1084, "exc": 1041, "hap": 595, "sur": 107, "fea": 40, "oth": 3, "dis": 2},
        },
    },
)


class IemocapOptions(ReaderOptions):
    """The block `corpus.NAME` of an IEMOCAP corpus."""

    reader: Literal["iemocap"]
    letterbox: float = Field(
        ge=0,
        lt=0.5,
        description="Share of the picture's height that is black above the actors, and below.",
    )


@dataclass(frozen=True)
class Session:
    """A session of the release, as it lies on disk.

    Attributes:
        number: `1` to `5`.
        folder: Holds `dialog` and `sentences`.
        videos: Path of each dialogue's video below `folder`.
    """

    number: str
    folder: Path
    videos: dict[str, str]


def read(root: Path, options: IemocapOptions) -> RawCorpus:
    """Reads an IEMOCAP tree.

    Args:
        root: The folder of the five sessions, or one that holds it.
        options: The corpus' block of params.yaml.

    Raises:
        PipelineError: The tree or an annotation file is not what it should be.
    """
    home = unpacked(root, lambda folder: bool(_sessions(folder)))
    if home is None:
        raise wrong_tree(root, "is not an unpacked IEMOCAP tree", EXPECTED)
    skipped: Counter[str] = Counter()
    sessions = _sessions(home)
    utterances = [
        utterance
        for session in sessions
        for name in _dialogues(session, home, skipped)
        for utterance in _dialogue(session, name, options, root, skipped)
    ]
    if not utterances:
        raise wrong_tree(root, "holds no transcribed turn", EXPECTED, sessions[0].folder)
    return RawCorpus(utterances, skipped, _notes(sessions))


def _sessions(folder: Path) -> list[Session]:
    found = []
    for name in names_in(folder):
        match = SESSION.fullmatch(name)
        for place in (folder / name, folder / name / name):
            if match and (place / "dialog").is_dir():
                found.append(Session(match[1], place, _videos(place)))
                break
    return found


def _videos(session: Path) -> dict[str, str]:
    """Each dialogue's video; some trees hold mp4 instead of avi, or drop the folder DivX."""
    return {
        Path(name).stem: f"{folder}/{name}"
        for ending in (".mp4", ".avi")  # where there are both, the later one stands: avi
        for folder in ("dialog/avi", "dialog/avi/DivX")
        for name in names_in(session / folder)
        if name.endswith(ending)
    }


def _notes(sessions: list[Session]) -> list[str]:
    without = [session.number for session in sessions if not session.videos]
    if not without:
        return []
    if len(without) == len(sessions):
        return ["no video at all, the release without videos: take visual out of extract and model"]
    return [f"no video in the sessions {', '.join(without)}: their pictures are masked"]


def _dialogues(session: Session, home: Path, skipped: Counter[str]) -> Iterator[str]:
    for part in ("transcriptions", "EmoEvaluation"):
        if not (session.folder / "dialog" / part).is_dir():
            what = f"lacks {session.folder.name}/dialog/{part}"
            raise wrong_tree(home, what, EXPECTED, session.folder / "dialog")
    for name in names_in(session.folder / "dialog/transcriptions"):
        match = DIALOGUE.fullmatch(name)
        if match and match[1][4] == session.number:
            yield match[1]
        else:
            skipped["files that are no transcription of their session"] += 1


def _dialogue(
    session: Session, name: str, options: IemocapOptions, root: Path, skipped: Counter[str]
) -> Iterator[Utterance]:
    """The turns of a dialogue; `Ses05M_script01_1` must not take those of `..._1b`."""
    transcription, evaluation = (
        session.folder / f"dialog/{part}/{name}.txt" for part in ("transcriptions", "EmoEvaluation")
    )
    skipped["dialogues without an evaluation file"] += not evaluation.exists()
    found = parse_evaluations(_text(evaluation), skipped) if evaluation.exists() else {}
    lines = parse_transcription(_text(transcription), skipped)
    own = re.compile(re.escape(name) + "_[FM][0-9]{3}")
    turns = [line for line in lines if own.fullmatch(line.turn)]
    skipped["turns of another dialogue"] += len(lines) - len(turns)
    skipped["turns without an evaluation"] += sum(line.turn not in found for line in turns)
    skipped["evaluations without a turn"] += len(set(found) - {line.turn for line in turns})
    for number, line in enumerate(turns):
        video, audio = _segments(session, name, line, options, root)
        rated = found.get(line.turn, Evaluation(None))
        yield Utterance(
            utterance=line.turn,
            dialogue=name,
            turn=number,
            speaker=f"Ses0{session.number}{line.turn[-4]}",
            text=line.text,
            video=video,
            audio=audio,
            emotion=rated.code,
            session=session.number,
            valence=rated.valence,
            activation=rated.activation,
            dominance=rated.dominance,
            votes=list(rated.votes.values()),
        )


def _text(path: Path) -> str:
    return read_bytes(path).decode("latin-1")


def _segments(
    session: Session, dialogue: str, line: Line, options: IemocapOptions, root: Path
) -> tuple[Segment, Segment]:
    """The speaker's half of the dialogue's video while the turn lasts, and the turn's own sound."""
    # The left half shows the actor who wears the markers, whom the dialogue's sixth letter names.
    left = 0.0 if dialogue[5] == line.turn[-4] else 0.5
    region = (left, options.letterbox, 0.5, 1 - 2 * options.letterbox)
    place = session.folder.relative_to(root)
    video = place / session.videos.get(dialogue, f"dialog/avi/DivX/{dialogue}.avi")
    sound = place / f"sentences/wav/{dialogue}/{line.turn}.wav"
    return (
        Segment(video.as_posix(), start=line.start, end=line.end, region=region),
        Segment(sound.as_posix()),
    )
