"""MELD's CSV in both byte flavours, and its times."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpora.tree import read_bytes
from pipeline.errors import PipelineError

COLUMNS = [
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
]
TIME = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d),(\d{1,3})", re.ASCII)
C1_CONTROLS = re.compile("[\x80-\x9f]")


@dataclass(frozen=True)
class Row:
    """One line of a CSV, its numbers parsed."""

    dialogue: int
    utterance: int
    cells: dict[str, str]


def read_csv(path: Path) -> list[Row]:
    """The rows of a MELD CSV of either byte flavour, in dialogue order.

    Raises:
        PipelineError: Not readable, not UTF-8, other columns, or a cell that is not what it
            should be.
    """
    lines = csv.reader(io.StringIO(_decode(path), newline=""), strict=True)
    try:
        header, *body = list(lines) or [[]]
    except csv.Error as error:
        raise PipelineError(f"{path}, line {lines.line_num}: not CSV: {error}") from error
    if header != COLUMNS:
        raise PipelineError(f"{path}: got the columns {header}, expected {COLUMNS}")
    rows = [_row(path, number, line) for number, line in enumerate(body, start=2)]
    _check_unique(path, rows)
    return sorted(rows, key=lambda row: (row.dialogue, row.utterance))


def _decode(path: Path) -> str:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path} cannot be read as UTF-8: {error}") from error
    # The archive's flavour kept cp1252 bytes as C1 controls; only these are mended.
    return C1_CONTROLS.sub(lambda m: m[0].encode("latin-1").decode("cp1252", "replace"), text)


def _row(path: Path, number: int, line: list[str]) -> Row:
    where = f"{path}, row {number}"
    if len(line) != len(COLUMNS):
        raise PipelineError(f"{where}: got {len(line)} cells, expected {len(COLUMNS)}")
    cells = dict(zip(COLUMNS, line, strict=True))
    ids = [cells["Dialogue_ID"], cells["Utterance_ID"]]
    if not all(re.fullmatch(r"[0-9]{1,9}", value) for value in ids):
        raise PipelineError(f"{where}: Dialogue_ID and Utterance_ID are {ids}, expected numbers")
    for column in ("StartTime", "EndTime"):
        if not TIME.fullmatch(cells[column]):
            raise PipelineError(f"{where}: {column} is {cells[column]!r}, expected HH:MM:SS,mmm")
    return Row(int(ids[0]), int(ids[1]), cells)


def _check_unique(path: Path, rows: Sequence[Row]) -> None:
    counts = Counter((row.dialogue, row.utterance) for row in rows)
    repeated = [f"dia{d}_utt{u}" for (d, u), number in counts.items() if number > 1]
    if repeated:
        raise PipelineError(
            f"{path} has more than one row of {repeated[:5]}, expected one of each utterance; "
            "take the published file."
        )


def seconds(time: str) -> float:
    """`HH:MM:SS,mmm` as seconds; fewer digits after the comma are a decimal fraction."""
    match = TIME.fullmatch(time)
    assert match is not None, time
    hours, minutes, whole, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{int(whole)}.{fraction}")
