"""Tables: a dataclass gives the schema, rows come back as they were, other files are refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base import tables
from pipeline.base.errors import PipelineError
from pipeline.base.tables import (
    read_provenance,
    read_rows,
    read_table,
    schema_of,
    streaming,
    table_of,
    with_metadata,
    write_table,
)


@dataclass(frozen=True)
class Part:
    name: str
    share: float | None


@dataclass(frozen=True)
class Whole:
    number: int
    large: Annotated[int, pa.int64()]
    is_new: bool
    kind: Literal["a", "b"]
    content: bytes
    box: tuple[float, float] | None
    parts: list[Part]
    first: Part


PART = pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("share", pa.float64())])
SCHEMA = pa.schema(
    [
        pa.field("number", pa.int32(), nullable=False),
        pa.field("large", pa.int64(), nullable=False),
        pa.field("is_new", pa.bool_(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("content", pa.binary(), nullable=False),
        pa.field("box", pa.list_(pa.float64())),
        pa.field("parts", pa.list_(PART), nullable=False),
        pa.field("first", PART, nullable=False),
    ]
)
ROWS = [
    Whole(
        1, 2**40, True, "a", b"\x00", (0.5, 1.0), [Part("x", 0.1), Part("y", None)], Part("z", 2)
    ),
    Whole(-2, 0, False, "b", b"", None, [], Part("", None)),
]


def test_a_dataclass_gives_the_schema() -> None:
    assert schema_of(Whole).equals(SCHEMA)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    write_table(tmp_path / "t", table_of(ROWS, SCHEMA, "whole/1"), "whole/1", {"b": [1], "a": "x"})
    assert read_rows(tmp_path / "t", Whole, "whole/1") == (ROWS, {"a": "x", "b": [1]})


def test_rows_that_do_not_fit_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="do not fit the schema part/1"):
        table_of([Part("x", "much")], schema_of(Part), "part/1")  # type: ignore[arg-type]
    nameless = table_of([Part(None, 1.0)], schema_of(Part), "part/1")  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=r"do not fit the schema part/1: .*'name'"):
        write_table(tmp_path / "t", nameless, "part/1")
    assert not list(tmp_path.iterdir())


def test_a_stream_has_a_row_group_a_call(tmp_path: Path) -> None:
    with streaming(tmp_path / "t", schema_of(Part), "part/1", {"a": 1}) as write:
        write(table_of([Part("x", 1.0), Part("y", None)], schema_of(Part), "part/1"))
        write(table_of([Part("z", 2.0)], schema_of(Part), "part/1"))
    assert pq.ParquetFile(tmp_path / "t").num_row_groups == 2
    assert read_rows(tmp_path / "t", Part, "part/1")[1] == {"a": 1}
    with pytest.raises(KeyError), streaming(tmp_path / "u", SCHEMA, "part/1", {}):
        raise KeyError("on the way")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_other_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "t"
    with pytest.raises(PipelineError, match="is missing; `dvc repro` makes it"):
        read_provenance(path, "part/1")
    path.write_text("no")
    with pytest.raises(PipelineError, match=r"not a Parquet file.*run `dvc repro`"):
        read_provenance(path, "part/1")
    pq.write_table(pa.table({"name": ["x"]}), path)
    with pytest.raises(PipelineError, match="'no version', expected 'part/1'; delete it and run"):
        read_provenance(path, "part/1")
    write_table(path, pa.table({"name": ["x"]}), "part/1")
    with pytest.raises(PipelineError, match="other columns than part/1; delete it and run"):
        read_table(path, schema_of(Part), "part/1")


def test_a_small_file_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, schema = tmp_path / "t", schema_of(Part)
    monkeypatch.setattr(tables, "UNPACKED", 2**24)
    names = ["x" * 2**16] * 640
    for options in ({"compression": "zstd"}, {"compression": "none"}):  # a dictionary packs, too
        table = pa.table([names, [None] * 640], schema=with_metadata(schema, "part/1"))
        pq.write_table(table, path, **options)
        assert path.stat().st_size < 2**21
        with pytest.raises(PipelineError, match="bytes unpack to more than"):
            read_table(path, schema, "part/1")
    write_table(path, table.slice(0, 10).replace_schema_metadata(None), "part/1")
    assert len(read_table(path, schema, "part/1")[0]) == 10


def test_damaged_content_and_unknown_words_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    rows = table_of(ROWS, SCHEMA, "whole/1")
    other = rows.set_column(3, SCHEMA.field("kind"), [["a", "c"]])
    write_table(path, other, "whole/1")
    with pytest.raises(PipelineError, match=r"cannot be used: 'c' in \(1, 'kind'\)"):
        read_rows(path, Whole, "whole/1")
    write_table(path, rows, "whole/1")
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=r"not a Parquet file"):
        read_rows(path, Whole, "whole/1")
    for text in (b"[1]", b"{", b"[" * 100_000):
        pq.write_table(rows.replace_schema_metadata({"erc": text}), path)
        with pytest.raises(PipelineError, match=r"delete it and run `dvc repro`"):
            read_rows(path, Whole, "whole/1")
