"""The frame store: the encoded pictures of every utterance, one row each."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa

from pipeline.base.files import chunked
from pipeline.base.tables import (
    Provenance,
    opened,
    read_provenance,
    refuse_packed,
    refused,
    schema_of,
    streaming,
)

VERSION = "frames/3"
ROWS_PER_GROUP = 16
SIDE = 224  # pixels, of every picture
WHOLE = [0.0, 0.0, 1.0, 1.0]  # the box of a region that is shown whole
SpeakerFace = Literal["one", "decided", "undecided", "none", "not_looked"]


@dataclass(frozen=True)
class Pictures:
    """The pictures of one utterance.

    Attributes:
        times: Seconds in the media file, one per frame.
        boxes: Left, top, width and height of what was cut out of each frame, as shares of the
            speaker's part of the picture: 0, 0, 1, 1 where that is shown whole.
        speaker: How the face was chosen: `one` was there; `decided` by mouth and voice among
            several; `undecided`, the most prominent of several; `none` was there, so that the whole
            region is shown; `not_looked` for.
        images: Encoded 224 x 224 RGB pictures.
    """

    times: list[float]
    boxes: Annotated[list[list[float]], pa.list_(pa.list_(pa.float32(), 4))]
    speaker: SpeakerFace
    images: list[bytes]


PICTURES = schema_of(Pictures)
SCHEMA = pa.schema(
    [
        pa.field("utterance", pa.string(), nullable=False),
        pa.field("present", pa.bool_(), nullable=False),
        *PICTURES,
    ]
)


Row = tuple[str, Pictures | pa.RecordBatch | None]


def write_frames(path: Path, rows: Iterable[Row], provenance: Provenance) -> None:
    """Streams a frame store to disk, whole or not at all.

    Args:
        path: Where to.
        rows: Utterance and its pictures, also as the cache has them: a batch of one `PICTURES`
            row, which is not taken apart; None where missing. In manifest order.
        provenance: Extractor, settings, encoder and its digest, library versions.
    """
    with streaming(path, SCHEMA, VERSION, provenance) as write:
        for group in chunked(rows, ROWS_PER_GROUP):
            write(_table(group))


def _table(rows: Sequence[Row]) -> pa.Table:
    utterances = pa.array([utterance for utterance, _ in rows], pa.string())
    present = pa.array([pictures is not None for _, pictures in rows], pa.bool_())
    table = pa.Table.from_batches([_batch(pictures) for _, pictures in rows]).combine_chunks()
    return pa.Table.from_arrays([utterances, present, *table.columns], schema=SCHEMA)


def _batch(pictures: Pictures | pa.RecordBatch | None) -> pa.RecordBatch:
    if isinstance(pictures, pa.RecordBatch):
        return pictures
    shown = pictures or Pictures([], [], "not_looked", [])
    return pa.RecordBatch.from_pylist([vars(shown)], PICTURES)


def pictures_in(batch: pa.RecordBatch) -> Pictures:
    """The pictures of a cache entry."""
    (row,) = batch.to_pylist()
    return Pictures(**row)


def present_rows(path: Path) -> list[int]:
    """Numbers of the rows that have pictures.

    Raises:
        PipelineError: The file is missing or of another version.
    """
    read_provenance(path, VERSION)
    with opened(path, SCHEMA, VERSION) as file:
        refuse_packed(path, file)
        present = file.read(["present"])["present"].to_pylist()
    return [number for number, there in enumerate(present) if there]


def read_frames(
    path: Path, rows: Container[int] | None = None
) -> Iterator[tuple[str, Pictures | None]]:
    """Streams a frame store from disk, a row group at a time.

    Args:
        path: Where it lies.
        rows: Numbers of the rows that are wanted, None for all; row groups without any are not
            read.

    Yields:
        Utterance and its pictures, None where missing.

    Raises:
        PipelineError: The file is missing, of another version, or not as it was written.
    """
    read_provenance(path, VERSION)
    begin = 0
    with opened(path, SCHEMA, VERSION) as file:
        refuse_packed(path, file)
        for group in range(file.num_row_groups):
            numbers = range(begin, begin + file.metadata.row_group(group).num_rows)
            begin = numbers.stop
            wanted = [n - numbers.start for n in numbers if rows is None or n in rows]
            if wanted:
                table = file.read_row_group(group)
                # `take` imports Arrow's compute functions.
                for row in (table if rows is None else table.take(wanted)).to_pylist():
                    present = row.pop("present")
                    utterance = row.pop("utterance")
                    counts = {name: len(row[name]) for name in ("times", "boxes", "images")}
                    if len(set(counts.values())) > 1 or present != any(counts.values()):
                        there = "there" if present else "missing"
                        raise refused(path, f"{utterance} is {there}, but has {counts}")
                    yield utterance, Pictures(**row) if present else None
