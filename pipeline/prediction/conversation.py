"""A new conversation as a user hands it over: clips and `utterances.csv`, without any label."""

import csv
import io
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.base.errors import PipelineError
from pipeline.corpora.tree import names_in, nfc, read_bytes
from pipeline.records.manifest import Segment, Utterance

FILE = "utterances.csv"
NEEDED = ("clip", "speaker", "text")
OPTIONAL = ("dialogue", "utterance", "start", "end")
EXPECTED = f"the columns {', '.join(NEEDED)} and, if wanted, {', '.join(OPTIONAL)}"
LABELS = {"emotion", "sentiment", "label", "labels"}
NO_CLIP = "no_clip"
SHOWN = 10


@dataclass(frozen=True)
class Row:
    """One line of the CSV: its number (the header is 1), and cells by column.

    All but `text` are in NFC and without white space around.
    """

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    def seconds(self, column: str) -> float | None:
        """A time in seconds, None where the cell is empty; raises a ValueError if it is neither."""
        if not self[column]:
            return None
        value = float(self[column])
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(value)
        return value


def read_conversation(folder: Path) -> list[Utterance]:
    """The utterances of `folder`/utterances.csv, dialogue by dialogue, before a clip is opened.

    Segments have no digest yet. Those of a row that names no clip have `missing` set to `NO_CLIP`.

    Raises:
        PipelineError: There is no such file, or not in this form: up to ten problems are named.
    """
    rows = _rows(folder / FILE, _text(folder))
    problems = [f"row {row.number}: {problem}" for row in rows for problem in _wrong(row)]
    counts = Counter(row["utterance"] for row in rows if row["utterance"])
    problems += [f"utterance {name!r} stands in {n} rows" for name, n in counts.items() if n > 1]
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listed = "\n".join(f"  {problem}" for problem in problems[:SHOWN])
        raise PipelineError(f"{folder / FILE} cannot be used as it is:\n{listed}{more}")
    return list(_utterances(rows, folder))


def _text(folder: Path) -> str:
    if not folder.is_dir():
        raise PipelineError(f"{folder} is no folder, expected one with {FILE} and the clips in it.")
    path = folder / FILE
    if not path.is_file():
        names = names_in(folder)[:SHOWN]
        raise PipelineError(
            f"{folder} lacks {FILE}; found {names or 'nothing'}. Expected a CSV file of this name "
            f"with {EXPECTED}."
        )
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(
            f"{path} cannot be read as UTF-8: {error}. Save it as `CSV UTF-8`."
        ) from error
    if "\0" in text:
        raise PipelineError(f"{path} holds zero bytes, expected text: save it as `CSV UTF-8`.")
    return text


def _rows(path: Path, text: str) -> list[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line]
    except csv.Error as error:
        raise PipelineError(f"{path}, line {lines.line_num}: not CSV: {error}") from error
    if len(numbered) < 2:
        raise PipelineError(f"{path} holds no utterance, expected {EXPECTED}, and a row for each.")
    (_, header), *body = numbered
    columns = [name.strip() for name in header]
    _check_columns(path, columns)
    for number, line in body:
        if len(line) != len(columns):
            raise PipelineError(
                f"{path}, row {number}: got {len(line)} cells, expected {len(columns)}. A text "
                'with a comma in it stands between double quotes: "well, yes".'
            )
    paired = ((number, zip(columns, line, strict=True)) for number, line in body)
    return [
        Row(number, {c: cell if c == "text" else nfc(cell.strip()) for c, cell in cells})
        for number, cells in paired
    ]


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    unknown = [name for name in columns if name not in (*NEEDED, *OPTIONAL)]
    lacking = [name for name in NEEDED if name not in columns]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    problems = [
        *([f"it lacks {lacking}"] if lacking else ()),
        *([f"it has {unknown}, which nothing reads"] if unknown else ()),
        *([f"it has {twice} more than once"] if twice else ()),
    ]
    if not problems:
        return
    advice = ""
    if LABELS & {name.lower() for name in unknown}:
        advice = " Labels are not read: leave them out."
    elif len(columns) == 1 and any(mark in columns[0] for mark in ";\t"):
        advice = " Cells must be separated by commas."
    raise PipelineError(
        f"{path}: {', '.join(problems)}; expected {EXPECTED}; got {list(columns)}.{advice}"
    )


def _wrong(row: Row) -> Iterator[str]:
    for column in ("speaker", "dialogue", "utterance"):
        if column in row.cells and not row[column]:
            yield f"{column} is empty"
    clip = PurePosixPath(row["clip"])
    if row["clip"] and (clip.is_absolute() or not clip.name or ".." in clip.parts):
        yield f"clip {row['clip']!r} does not lie in the folder; give its name relative to it"
    try:
        start, end = row.seconds("start"), row.seconds("end")
    except ValueError:
        times = [row["start"], row["end"]]
        yield f"start and end are {times}, expected seconds in the clip, such as 12.5, or nothing"
        return
    if end is not None and end <= (start or 0.0):
        yield f"it ends at {end} s, not after its start at {start or 0.0} s"


def _utterances(rows: Sequence[Row], folder: Path) -> Iterator[Utterance]:
    """Rows of a dialogue need not stand together; one that nobody named is called as the folder."""
    name = os.fsencode(folder.resolve().name).decode("utf-8", "replace")
    only = nfc(name) or "dialogue"
    dialogues: dict[str, list[Row]] = {}
    for row in rows:
        dialogues.setdefault(row["dialogue"] or only, []).append(row)
    for dialogue, turns in dialogues.items():
        for turn, row in enumerate(turns):
            segment = _segment(row)
            yield Utterance(
                utterance=row["utterance"] or f"{dialogue}_utt{turn}",
                dialogue=dialogue,
                turn=turn,
                speaker=row["speaker"],
                text=row["text"],
                video=segment,
                audio=segment,
            )


def _segment(row: Row) -> Segment:
    if not row["clip"]:
        return Segment(NO_CLIP, missing=NO_CLIP)
    path = PurePosixPath(row["clip"]).as_posix()
    return Segment(path, start=row.seconds("start") or 0.0, end=row.seconds("end"))
