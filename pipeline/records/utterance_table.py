"""`utterances.csv`, or `.parquet` of the same columns: utterances as a user lists them."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.base.errors import PipelineError
from pipeline.base.folders import names_in, nfc, read_bytes
from pipeline.base.tables import of_sane_size

FILE, PARQUET = "utterances.csv", "utterances.parquet"
# What a table's split may be called, and what the manifest calls it.
SPLITS = {"train": "train", "dev": "dev", "valid": "dev", "val": "dev", "test": "test"}
LABELS = ("emotion", "sentiment")
SHOWN = 10


@dataclass(frozen=True)
class Row:
    """One line: its number (the header is 1), and cells by column.

    All but `text` are in NFC and without white space around.
    """

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def clip(self) -> str | None:
        """The path of its clip below the folder, with `/`, None where it names none."""
        return PurePosixPath(self["clip"]).as_posix() if self["clip"] else None

    @property
    def turn(self) -> int:
        """The place in its dialogue; 0 where the table has no such column."""
        return int(float(self["turn"] or 0))

    @property
    def split(self) -> str | None:
        """The official split, as the manifest calls it."""
        return SPLITS[self["split"].lower()] if self["split"] else None

    def seconds(self, column: str) -> float | None:
        """A time in seconds, None where the cell is empty; raises a ValueError if it is neither."""
        if not self[column]:
            return None
        value = float(self[column])
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(value)
        return value


@dataclass(frozen=True)
class UtteranceTable:
    """A table that was read: its file, the columns it has, its rows in order."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[Row]

    def refused(self, problems: Sequence[str]) -> PipelineError:
        """The error for a table with problems, of which it names ten."""
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listed = "\n".join(f"  {problem}" for problem in problems[:SHOWN])
        return PipelineError(f"{self.path} cannot be used as it is:\n{listed}{more}")

    def dialogues(self, name: Callable[[Row], str]) -> dict[str, list[Row]]:
        """The rows of each dialogue, which `name` gives, by `turn` or else in the table's order.

        They need not stand together.

        Raises:
            PipelineError: A dialogue has a turn twice, or rows of several splits or sessions.
        """
        grouped: dict[str, list[Row]] = {}
        for row in self.rows:
            grouped.setdefault(name(row), []).append(row)
        if problems := [p for n, rows in grouped.items() for p in _discord(n, rows)]:
            raise self.refused(problems)
        return {n: sorted(rows, key=lambda row: row.turn) for n, rows in grouped.items()}


def read_utterance_table(
    folder: Path, needed: Sequence[str], optional: Sequence[str]
) -> UtteranceTable:
    """Read the table in a folder, of which some columns must be there and others may be.

    Known columns are clip, dialogue, turn, utterance, speaker, text, start, end, emotion,
    sentiment, split and session.

    Raises:
        PipelineError: There is no such file, or not in this form: up to ten problems are named.
    """
    expected = f"the columns {', '.join(needed)} and, if wanted, {', '.join(optional)}"
    path = _file(folder, expected)
    lines = list(_parquet(path) if path.name == PARQUET else _csv(path))
    if len(lines) < 2:
        raise PipelineError(f"{path} holds no utterance, expected {expected}, and a row for each.")
    (_, header), *body = lines
    columns = [name.strip() for name in header]
    _check_columns(path, columns, needed, optional, expected)
    table = UtteranceTable(path, columns, list(_rows(path, columns, body)))
    problems = [f"row {row.number}: {problem}" for row in table.rows for problem in _wrong(row)]
    counts = Counter(row["utterance"] for row in table.rows if row["utterance"])
    problems += [f"utterance {name!r} stands in {n} rows" for name, n in counts.items() if n > 1]
    if problems:
        raise table.refused(problems)
    return table


def _file(folder: Path, expected: str) -> Path:
    if not folder.is_dir():
        raise PipelineError(f"{folder} is no folder, expected one with {FILE} and the clips in it.")
    there = [folder / name for name in (FILE, PARQUET) if (folder / name).is_file()]
    if not there:
        names = names_in(folder)[:SHOWN]
        raise PipelineError(
            f"{folder} lacks {FILE}; found {names or 'nothing'}. Expected a CSV file of this name "
            f"with {expected}."
        )
    if len(there) > 1:
        raise PipelineError(f"{folder} holds {FILE} and {PARQUET}, expected one: take one away.")
    return there[0]


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the cells of each line that is not blank, and its number among all."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(
            f"{path} cannot be read as UTF-8: {error}. Save it as `CSV UTF-8`."
        ) from error
    if "\0" in text:
        raise PipelineError(f"{path} holds zero bytes, expected text: save it as `CSV UTF-8`.")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from ((number, line) for number, line in enumerate(lines, 1) if line)
    except csv.Error as error:
        raise PipelineError(f"{path}, line {lines.line_num}: not CSV: {error}") from error


def _parquet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields what the same table as CSV would have in its lines."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            batches = [[_as_text(column) for column in b.columns] for b in of_sane_size(path, file)]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PipelineError(
            f"{path} is not a Parquet file of texts and numbers: {error}"
        ) from error
    yield 1, names
    rows = (line for columns in batches for line in zip(*columns, strict=True))
    yield from ((number, list(line)) for number, line in enumerate(rows, 2))


def _as_text(column: pa.Array) -> list[str]:
    if pa.types.is_floating(column.type):  # NaN is how pandas says that nothing is there
        column = pc.if_else(pc.is_nan(column), None, column)
    return [value or "" for value in column.cast(pa.string()).to_pylist()]


def _check_columns(
    path: Path,
    columns: Sequence[str],
    needed: Sequence[str],
    optional: Sequence[str],
    expected: str,
) -> None:
    unknown = [name for name in columns if name not in (*needed, *optional)]
    lacking = [name for name in needed if name not in columns]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    problems = [
        *([f"it lacks {lacking}"] if lacking else ()),
        *([f"it has {unknown}, which nothing reads"] if unknown else ()),
        *([f"it has {twice} more than once"] if twice else ()),
    ]
    if not problems:
        return
    advice = ""
    if {*LABELS, "label", "labels"} & {name.lower() for name in unknown}:
        named = [name for name in LABELS if name in (*needed, *optional)]
        advice = (
            f" Labels stand in {' or '.join(named)}."
            if named
            else (" Labels are not read: leave them out.")
        )
    elif len(columns) == 1 and any(mark in columns[0] for mark in ";\t"):
        advice = " Cells must be separated by commas."
    raise PipelineError(
        f"{path}: {', '.join(problems)}; expected {expected}; got {list(columns)}.{advice}"
    )


def _rows(
    path: Path, columns: Sequence[str], body: Iterable[tuple[int, list[str]]]
) -> Iterator[Row]:
    for number, line in body:
        if len(line) != len(columns):
            raise PipelineError(
                f"{path}, row {number}: got {len(line)} cells, expected {len(columns)}. A text "
                'with a comma in it stands between double quotes: "well, yes".'
            )
        cells = zip(columns, line, strict=True)
        yield Row(number, {c: cell if c == "text" else nfc(cell.strip()) for c, cell in cells})


def _wrong(row: Row) -> Iterator[str]:
    for column in ("speaker", "dialogue", "utterance"):
        if column in row.cells and not row[column]:
            yield f"{column} is empty"
    clip = PurePosixPath(row["clip"])
    if row["clip"] and (clip.is_absolute() or not clip.name or ".." in clip.parts):
        yield f"clip {row['clip']!r} does not lie in the folder; give its name relative to it"
    if "turn" in row.cells and not re.fullmatch(r"[0-9]{1,9}(\.0+)?", row["turn"]):
        yield f"turn is {row['turn']!r}, expected its place in the dialogue: 0, 1, 2, ..."
    if row["split"] and row["split"].lower() not in SPLITS:
        yield f"split is {row['split']!r}, expected one of {list(SPLITS)}, or nothing"
    try:
        start, end = row.seconds("start"), row.seconds("end")
    except ValueError:
        times = [row["start"], row["end"]]
        yield f"start and end are {times}, expected seconds in the clip, such as 12.5, or nothing"
        return
    if end is not None and end <= (start or 0.0):
        yield f"it ends at {end} s, not after its start at {start or 0.0} s"


def _discord(dialogue: str, rows: Sequence[Row]) -> Iterator[str]:
    """What the rows of a dialogue must not differ in, or must."""
    counts = Counter(row.turn for row in rows if "turn" in row.cells)
    if twice := [turn for turn, count in counts.items() if count > 1]:
        yield f"dialogue {dialogue!r} has the turns {twice[:5]} more than once"
    for column, values in (
        ("split", {row.split or "" for row in rows}),
        ("session", {row["session"] for row in rows}),
    ):
        if len(values) > 1:
            yield f"dialogue {dialogue!r} has the {column}s {sorted(values)}, expected one"


def is_clips(folder: Path) -> bool:
    """Whether a folder has a table of clips, not of vectors."""
    try:
        with (folder / FILE).open(encoding="utf-8-sig", newline="") as file:
            return "clip" in [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
