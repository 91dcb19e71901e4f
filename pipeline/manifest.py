"""The manifest: raw facts of every utterance, one row each, in dialogue order.

It holds nothing that a protocol decides (no label number, fold or split of ours), because every
feature stage depends on it: a protocol can change without any clip being decoded again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import PipelineError
from pipeline.tables import read_table, write_table

VERSION = "manifest/1"


@dataclass(frozen=True)
class Segment:
    """A stretch of a media file.

    Attributes:
        path: Relative to the corpus' raw folder, with `/`.
        start: Seconds from the file's first time stamp.
        end: Seconds; None until the file has been opened.
        sha256: Digest of the whole file; None where it could not be read.
        region: Left, top, width and height of the speaker's part of the picture, as shares of it;
            None is the whole picture.
        missing: Why the segment cannot be used (a ledger kind), None where it can.
    """

    path: str
    start: float = 0.0
    end: float | None = None
    sha256: str | None = None
    region: tuple[float, float, float, float] | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Vote:
    """What one rater said of an utterance."""

    rater: str
    codes: list[str]


@dataclass(frozen=True)
class Utterance:
    """One utterance as the corpus gives it.

    Attributes:
        utterance: Unique within the corpus, the split included where ids restart in each.
        dialogue: Unique within the corpus.
        turn: Place within the dialogue's annotated utterances, from 0.
        speaker: Name or id as the corpus gives it.
        text: The words.
        emotion: Raw emotion code, None where unlabelled.
        sentiment: Raw sentiment code, None where the corpus has none.
        official_split: The authors' split (`train`, `dev`, `test`), None where they made none.
        session: Recording session, None where the corpus has none.
        episode_start: Seconds in the broadcast the clip was cut from; says nothing of the file.
        episode_end: Likewise.
        valence: Mean rating, None where unrated; activation and dominance likewise.
        votes: Every rater's codes.
        video: Where the speaker is seen.
        audio: Where the speaker is heard.
    """

    utterance: str
    dialogue: str
    turn: int
    speaker: str
    text: str
    video: Segment
    audio: Segment
    emotion: str | None = None
    sentiment: str | None = None
    official_split: str | None = None
    session: str | None = None
    episode_start: float | None = None
    episode_end: float | None = None
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None
    votes: list[Vote] = field(default_factory=list)


def _not_null(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


SEGMENT = pa.struct(
    [
        _not_null("path", pa.string()),
        _not_null("start", pa.float64()),
        pa.field("end", pa.float64()),
        pa.field("sha256", pa.string()),
        pa.field("region", pa.list_(pa.float64())),
        pa.field("missing", pa.string()),
    ]
)
VOTES = pa.list_(pa.struct([("rater", pa.string()), ("codes", pa.list_(pa.string()))]))
SCHEMA = pa.schema(
    [
        *(_not_null(name, pa.string()) for name in ("utterance", "dialogue")),
        _not_null("turn", pa.int32()),
        *(_not_null(name, pa.string()) for name in ("speaker", "text")),
        *(_not_null(name, SEGMENT) for name in ("video", "audio")),
        *(pa.field(n, pa.string()) for n in ("emotion", "sentiment", "official_split", "session")),
        *(pa.field(n, pa.float64()) for n in ("episode_start", "episode_end")),
        *(pa.field(n, pa.float64()) for n in ("valence", "activation", "dominance")),
        _not_null("votes", VOTES),
    ]
)


def write_manifest(path: Path, utterances: Sequence[Utterance]) -> None:
    """Writes the manifest as Parquet.

    Raises:
        PipelineError: The rows break a rule of the manifest.
    """
    check(utterances)
    table = pa.Table.from_pylist([asdict(u) for u in utterances], SCHEMA)
    write_table(path, table, VERSION)


def read_manifest(path: Path) -> list[Utterance]:
    """Reads a manifest and checks it.

    Raises:
        PipelineError: The file is absent, of another version, or breaks a rule.
    """
    table, _ = read_table(path, SCHEMA, VERSION)
    utterances = [_utterance(row) for row in table.to_pylist()]
    check(utterances)
    return utterances


def _utterance(row: dict[str, Any]) -> Utterance:
    for medium in ("video", "audio"):
        segment = row[medium]
        region = segment["region"]
        segment["region"] = None if region is None else tuple(region)
        row[medium] = Segment(**segment)
    row["votes"] = [Vote(**vote) for vote in row["votes"]]
    return Utterance(**row)


def check(utterances: Sequence[Utterance]) -> None:
    """Checks uniqueness, order and ranges.

    Raises:
        PipelineError: One message that names up to ten problems.
    """
    problems = [*_repeated(utterances), *_disordered(utterances)]
    for u in utterances:
        problems += [f"{u.utterance}: {medium} {p}" for medium, p in _bad_segments(u)]
    if problems:
        shown = "\n".join(f"  {p}" for p in problems[:10])
        raise PipelineError(
            f"The manifest breaks {len(problems)} rules, which is a reader's fault:\n{shown}"
        )


def _repeated(utterances: Sequence[Utterance]) -> list[str]:
    counts = Counter(u.utterance for u in utterances)
    return [f"{utterance}: {count} times" for utterance, count in counts.items() if count > 1]


def _disordered(utterances: Sequence[Utterance]) -> list[str]:
    problems, seen = [], set()
    for dialogue, group in groupby(utterances, key=lambda u: u.dialogue):
        if dialogue in seen:
            problems.append(f"{dialogue}: its turns do not stand together")
        seen.add(dialogue)
        turns = [u.turn for u in group]
        if turns != list(range(len(turns))):
            problems.append(f"{dialogue}: turns {turns}, expected 0, 1, 2, ...")
    return problems


def _bad_segments(u: Utterance) -> list[tuple[str, str]]:
    problems = []
    for medium, segment in (("video", u.video), ("audio", u.audio)):
        if segment.missing is None and (segment.sha256 is None or segment.end is None):
            problems.append((medium, "is usable but has no digest or no end"))
        if segment.end is not None and not 0 <= segment.start < segment.end:
            problems.append((medium, f"lasts from {segment.start} to {segment.end} s"))
        if segment.region is not None and not _inside(segment.region):
            problems.append((medium, f"region {segment.region} is not inside the picture"))
    return problems


def _inside(region: tuple[float, ...]) -> bool:
    left, top, width, height = region
    return (
        min(left, top) >= 0 and min(width, height) > 0 and left + width <= 1 and top + height <= 1
    )
