"""IEMOCAP as `IEMOCAP_full_release` unpacks: five sessions of dialogues between two actors.

An utterance's picture is a part of the dialogue's video, in which each actor has one half; its
sound is a file of its own. The order of a dialogue is that of its transcription: evaluations list
one speaker's turns and then the other's, and start times overlap.
"""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.base.folders import is_file, is_folder, names_in, read_bytes
from pipeline.base.settings import MODALITIES, Modality
from pipeline.corpora.iemocap_grammar import (
    Evaluation,
    Line,
    parse_evaluations,
    parse_transcription,
)
from pipeline.corpora.labels import CONSENSUS, LabelPolicy, folded, plain
from pipeline.corpora.published import Published, PublishedSplits, groups
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader
from pipeline.corpora.tree import unpacked, wrong_tree
from pipeline.records.manifest import Segment, Utterance

SESSION = re.compile(r"session[ _-]?0?([1-5])", re.IGNORECASE)
DIALOGUE = re.compile(r"(Ses0[1-5][FM]_\w+)\.txt")
EXPECTED = (
    "Session1 to Session5, each with dialog/transcriptions, dialog/EmoEvaluation, "
    "dialog/avi/DivX and sentences/wav"
)
MARKS = {BOM_UTF8: "utf-8-sig", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
NO_MAJORITY = "xxx"
HAPPY = "hap"
# `oth` is a class of `all`, `xxx` of none.
LABEL_SETS = {
    "six": plain("emotion", "hap", "sad", "neu", "ang", "exc", "fru"),
    "four": folded(
        "emotion", {"hap": ["hap", "exc"], "sad": ["sad"], "neu": ["neu"], "ang": ["ang"]}
    ),
    "four_no_exc": plain("emotion", "hap", "sad", "neu", "ang"),
    "all": plain("emotion", "hap", "sad", "neu", "ang", "exc", "fru", "sur", "fea", "dis", "oth"),
}
# The validation dialogues of COSMIC (Ghosal et al., 2020) and of those who took over its pickles.
COSMIC = (
    "Ses01M_impro01", "Ses01M_script03_1", "Ses02F_impro02", "Ses02F_impro07",
    "Ses02M_script01_2", "Ses03F_impro01", "Ses03M_impro02", "Ses03M_impro08a",
    "Ses03M_script02_2", "Ses03M_script03_2", "Ses04F_impro07", "Ses04F_script02_1",
)  # fmt: skip
PUBLISHED = Published(
    "session",
    groups("""
            dialogues utterances  xxx  fru  neu  ang  sad  exc hap sur fea oth dis
        1          28       1819    -    -    -    -    -    -   -   -   -   -   -
        2          30       1811    -    -    -    -    -    -   -   -   -   -   -
        3          32       2136    -    -    -    -    -    -   -   -   -   -   -
        4          30       2103    -    -    -    -    -    -   -   -   -   -   -
        5          31       2170    -  381  384  170  245  299 143   -   -   -   -
        all       151      10039 2507 1849 1708 1103 1084 1041 595 107  40   3   2
    """),
)


def erc7433(u: Utterance) -> str | None:
    """The code that the 7,433 six-class utterances of IEMOCAP's published pickles have.

    An utterance without a majority is happy if its speaker gave this label alone, and no other
    label has as many votes, the speaker's included; a rater has one vote for each label named.
    """
    own = [code for vote in u.votes if vote.self_report for code in vote.codes]
    if u.emotion != NO_MAJORITY or own != [HAPPY]:
        return u.emotion
    counts = Counter(code for vote in u.votes for code in set(vote.codes))
    others = (number for code, number in counts.items() if code != HAPPY)
    return HAPPY if counts[HAPPY] > max(others, default=0) else u.emotion


LABEL_POLICIES = {
    "consensus": CONSENSUS,
    "erc7433": LabelPolicy(
        erc7433,
        f"{CONSENSUS.description}, with the 53 more happy utterances of IEMOCAP's published "
        "pickles",
    ),
}
SIX = groups("""
                hap sad  neu ang exc  fru
    train+valid 504 839 1324 933 742 1468
    test        144 245  384 170 299  381
""")
COSMIC_SIX = groups("""
          hap sad  neu ang exc  fru
    train 451 771 1221 831 593 1296
    valid  53  68  103 102 149  172
""")
SIX_CONSENSUS = groups("""
                hap sad  neu ang exc  fru
    train+valid 452 839 1324 933 742 1468
    test        143 245  384 170 299  381
""")
FOUR = groups("""
                      hap  sad  neu  ang
    train+valid+test 1636 1084 1708 1103
""")
FOUR_NO_EXC = groups("""
                     hap  sad  neu  ang
    train+valid+test 595 1084 1708 1103
""")
PUBLISHED_SPLITS = (
    PublishedSplits("six", "erc7433", "session5", SIX),
    PublishedSplits("six", "erc7433", "session5", COSMIC_SIX, validation="cosmic"),
    PublishedSplits("six", "consensus", "session5", SIX_CONSENSUS),
    PublishedSplits("four", "consensus", "session5", FOUR),
    PublishedSplits("four_no_exc", "consensus", "session5", FOUR_NO_EXC),
)


class IemocapOptions(MediaOptions):
    """The block `CORPUS.corpus` of an IEMOCAP corpus."""

    reader: Literal["iemocap"]
    letterbox: float = Field(
        ge=0,
        lt=0.5,
        description="Share of the picture's height that is black above the actors, and below.",
    )


@dataclass(frozen=True)
class Session:
    """A session of the release, as it lies on disk."""

    number: str  # `1` to `5`
    folder: Path  # holds `dialog` and `sentences`
    videos: dict[str, str]  # path of each dialogue's below `folder`


def read(root: Path, options: IemocapOptions) -> RawCorpus:
    """Read an IEMOCAP tree, the folder of the five sessions or one that holds it; refuse others."""
    home = unpacked(root, lambda folder: bool(_sessions(folder)))
    if home is None:
        one_session = {"dialog", "sentences"} & set(names_in(root))
        advice = "this is one session: point at the folder that holds all five"
        what = "is not an unpacked IEMOCAP tree"
        raise wrong_tree(root, what, EXPECTED, advice=advice if one_session else "")
    skipped: Counter[str] = Counter()
    sessions = _sessions(home)
    utterances = [
        utterance
        for session in sessions
        for name in _dialogues(session, home, skipped)
        for utterance in _dialogue(session, name, options, root, skipped)
    ]
    if not any(session.videos for session in sessions):
        utterances = [replace(u, video=None) for u in utterances]
    if not utterances:
        raise wrong_tree(root, "holds no transcribed turn", EXPECTED, sessions[0].folder)
    return RawCorpus(utterances, skipped, _notes(sessions))


def _sessions(folder: Path) -> list[Session]:
    sessions = []
    for name in names_in(folder):
        match = SESSION.fullmatch(name)
        for place in (folder / name, folder / name / name):
            if match and is_folder(place / "dialog"):
                sessions.append(Session(match[1], place, _videos(place)))
                break
    return sessions


def _videos(session: Path) -> dict[str, str]:
    """Each dialogue's video; some trees hold mp4 instead of avi, or drop the folder DivX."""
    return {
        Path(name).stem: f"{folder}/{name}"
        for ending in (".mp4", ".avi")  # where there are both, the later one stands: avi
        for folder in ("dialog/avi", "dialog/avi/DivX")
        for name in names_in(session / folder)
        if name.endswith(ending)
    }


def _notes(sessions: list[Session]) -> dict[str, tuple[Modality, ...]]:
    without = [session.number for session in sessions if not session.videos]
    if not without:
        return {}
    if len(without) == len(sessions):
        return {"no video at all, the release without videos": MODALITIES}
    return {
        f"no video in the sessions {', '.join(without)}: their pictures are masked": ("visual",)
    }


def _dialogues(session: Session, home: Path, skipped: Counter[str]) -> Iterator[str]:
    for part in ("transcriptions", "EmoEvaluation"):
        if not is_folder(session.folder / "dialog" / part):
            what = f"lacks {session.folder.name}/dialog/{part}"
            raise wrong_tree(home, what, EXPECTED, session.folder / "dialog")
    folder = session.folder / "dialog/transcriptions"
    for name in names_in(folder):
        match = DIALOGUE.fullmatch(name)
        if match and match[1][4] == session.number and is_file(folder / name):
            yield match[1]
        else:
            skipped["files that are not transcriptions of their session"] += 1


def _dialogue(
    session: Session, name: str, options: IemocapOptions, root: Path, skipped: Counter[str]
) -> Iterator[Utterance]:
    """Reads the turns of a dialogue; `Ses05M_script01_1` must not take those of `..._1b`."""
    transcription, evaluation = (
        session.folder / f"dialog/{part}/{name}.txt" for part in ("transcriptions", "EmoEvaluation")
    )
    skipped["dialogues without an evaluation file"] += not is_file(evaluation)
    rated = parse_evaluations(_text(evaluation), skipped) if is_file(evaluation) else {}
    lines = parse_transcription(_text(transcription), skipped)
    own = re.compile(re.escape(name) + "_[FM][0-9]{3}")
    turns = [line for line in lines if own.fullmatch(line.turn)]
    skipped["turns of another dialogue"] += len(lines) - len(turns)
    skipped["turns without an evaluation"] += sum(line.turn not in rated for line in turns)
    skipped["evaluations without a turn"] += len(set(rated) - {line.turn for line in turns})
    for number, line in enumerate(turns):
        video, audio = _segments(session, name, line, options, root)
        ratings = rated.get(line.turn, Evaluation(None))
        yield Utterance(
            utterance=line.turn,
            dialogue=name,
            turn=number,
            speaker=f"Ses0{session.number}{line.turn[-4]}",
            text=line.text,
            video=video,
            audio=audio,
            emotion=ratings.code,
            session=session.number,
            valence=ratings.valence,
            activation=ratings.activation,
            dominance=ratings.dominance,
            votes=list(ratings.votes.values()),
        )


def _text(path: Path) -> str:
    """Decode a file: Latin-1, as the release has it, unless an editor left a byte order mark."""
    data = read_bytes(path)
    marked = next((name for mark, name in MARKS.items() if data.startswith(mark)), "latin-1")
    with suppress(UnicodeDecodeError):
        return data.decode(marked)
    return data.removeprefix(BOM_UTF8).decode("latin-1")


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


READER = Reader(
    title="IEMOCAP",
    options=IemocapOptions,
    read=read,
    label_sets=LABEL_SETS,
    published=PUBLISHED,
    published_splits=PUBLISHED_SPLITS,
    test_support=SIX["test",],
    label_policies=LABEL_POLICIES,
    validation={"cosmic": COSMIC},
    marks=r"session\s?[1-5]|dialog|sentences",
)
