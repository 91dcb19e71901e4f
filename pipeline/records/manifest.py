"""The manifest: raw facts of every utterance, one row each, in dialogue order.

It holds nothing that a protocol decides (no label number, fold or split of ours), because every
feature stage depends on it: a protocol can change without any clip being decoded again.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import groupby
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from pipeline.base.errors import PipelineError
from pipeline.base.tables import (
    of_sane_size,
    opened,
    read_provenance,
    read_rows,
    refused,
    schema_of,
    table_of,
    validated,
    write_table,
)

VERSION = "manifest/3"
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Segment:
    """A part of a media file.

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
    """One rater's labels and ratings of an utterance.

    Attributes:
        rater: Name as the corpus gives it.
        self_report: Whether the rater is the speaker.
        codes: Emotion codes, several where the rater gave several.
        valence: On the corpus' scale, None where unrated; activation and dominance likewise.
    """

    rater: str
    self_report: bool = False
    codes: list[str] = field(default_factory=list)
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None


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
        valence: Mean rating, None where unrated; activation and dominance likewise. Valence alone
            may be negative: the scale of CMU-MOSI goes from -3 to 3.
        votes: Of every rater.
        video: Where the speaker is seen, None where there never was a video.
        audio: Where the speaker is heard, None where there never was a sound.
    """

    utterance: str
    dialogue: str
    turn: int
    speaker: str
    text: str
    video: Segment | None
    audio: Segment | None
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


SCHEMA = schema_of(Utterance)
RATED = ("valence", "activation", "dominance")


@dataclass(frozen=True)
class Origin:
    """Where a manifest comes from.

    Attributes:
        reader: That of the corpus whose utterances these are.
        full: Whether it is meant to be the whole release.
        label_policy: Which one its emotions follow already; None: they are the raw codes of the
            annotations.
        label_sets: Those whose classes its emotions tell apart; None: all of the corpus.
    """

    reader: str
    full: bool
    label_policy: str | None = None
    label_sets: tuple[str, ...] | None = None


def write_manifest(path: Path, utterances: Sequence[Utterance], origin: Origin) -> None:
    """Writes the manifest as Parquet.

    Raises:
        PipelineError: The rows break a rule of the manifest.
    """
    table = table_of(utterances, SCHEMA, VERSION)
    check(utterances)
    write_table(path, table, VERSION, asdict(origin))


def read_manifest(path: Path) -> list[Utterance]:
    """Reads a manifest and checks it.

    Raises:
        PipelineError: The file is missing, of another version, or breaks a rule.
    """
    utterances, _ = read_rows(path, Utterance, VERSION)
    check(utterances)
    return utterances


def stream_manifest(path: Path, wanted: range | None = None) -> Iterator[Utterance]:
    """Reads a manifest a few rows at a time, in order, and trusts the check of `write_manifest`.

    Args:
        path: Where it lies.
        wanted: Numbers of consecutive rows; None: all.

    Raises:
        PipelineError: As `read_rows`.
    """
    read_provenance(path, VERSION)
    begin = 0
    with opened(path, SCHEMA, VERSION) as file:
        for batch in of_sane_size(path, file):
            if wanted is not None and begin >= wanted.stop:
                return
            skipped = 0 if wanted is None else max(0, wanted.start - begin)
            length = len(batch) if wanted is None else max(0, wanted.stop - begin - skipped)
            begin += len(batch)
            yield from validated(path, _rows(), batch.slice(skipped, length))


def dialogue_starts(path: Path) -> list[int]:
    """Numbers of the rows with which dialogues begin, and that of all rows.

    Raises:
        PipelineError: The file is missing, of another version, or damaged.
    """
    read_provenance(path, VERSION)
    with opened(path, SCHEMA, VERSION) as file:
        turns = file.read(columns=["turn"]).column("turn").to_pylist()
    return [*(number for number, turn in enumerate(turns) if turn == 0), len(turns)]


@cache
def _rows() -> TypeAdapter[list[Utterance]]:
    return TypeAdapter(list[Utterance])


def count_utterances(path: Path, having: Literal["video", "audio"] | None = None) -> int:
    """Counts the utterances of a manifest, or those that name a video or a sound.

    Raises:
        PipelineError: The file is missing or of another version.
    """
    read_provenance(path, VERSION)
    if having is None:
        return int(pq.read_metadata(path).num_rows)
    with opened(path, SCHEMA, VERSION) as file:
        column = file.read(columns=[f"{having}.path"]).column(having)
    return int(len(column) - column.null_count)


def read_origin(path: Path) -> Origin:
    """Reads where a manifest comes from.

    Raises:
        PipelineError: The file is missing or of another version.
    """
    provenance = read_provenance(path, VERSION)
    try:
        return TypeAdapter(Origin).validate_python(provenance)
    except ValidationError as error:
        raise refused(path, f"its origin is {provenance}, expected a reader and `full`") from error


def check(utterances: Sequence[Utterance]) -> None:
    """Checks ranges, uniqueness and order; the Arrow schema checks the types.

    Raises:
        PipelineError: One message that names up to ten problems.
    """
    problems = [*_repeated(utterances), *_disordered(utterances)]
    for u in utterances:
        problems += [f"{u.utterance}: {problem}" for problem in _out_of_range(u)]
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


def _out_of_range(u: Utterance) -> Iterator[str]:
    for name in ("utterance", "dialogue", "speaker"):
        if not getattr(u, name):
            yield f"{name} is empty"
    for medium, segment in (("video", u.video), ("audio", u.audio)):
        if segment is not None:
            yield from (f"{medium} {problem}" for problem in _bad_segment(segment))
    ratings = [(name, getattr(rated, name)) for rated in (u, *u.votes) for name in RATED]
    times = [(name, getattr(u, name)) for name in ("episode_start", "episode_end")]
    for name, value in [*ratings, *times]:
        if value is not None and not (isfinite(value) and (value >= 0 or name == "valence")):
            yield f"{name} is {value}"


def _bad_segment(segment: Segment) -> Iterator[str]:
    path = PurePosixPath(segment.path)
    if path.is_absolute() or not path.name or ".." in path.parts:
        yield f"path {segment.path!r} does not lie below the raw folder"
    if segment.missing is None and (segment.sha256 is None or segment.end is None):
        yield "is usable but has no digest or no end"
    if segment.sha256 is not None and not SHA256.fullmatch(segment.sha256):
        yield f"sha256 is {segment.sha256!r}"
    end = segment.end
    if end is not None and not (0 <= segment.start < end and isfinite(end)):
        yield f"lasts from {segment.start} to {end} s"
    if segment.region is not None and not _inside(segment.region):
        yield f"region {segment.region} is not inside the picture"


def _inside(region: tuple[float, ...]) -> bool:
    left, top, width, height = region
    return (
        min(left, top) >= 0 and min(width, height) > 0 and left + width <= 1 and top + height <= 1
    )
