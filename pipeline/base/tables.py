"""Parquet tables with a version, a checked schema and reproducible bytes.

A file may come from elsewhere: none is read whose content would not fit the size of the file.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from pipeline.base.errors import PipelineError
from pipeline.base.files import METADATA_KEY, replacing

Provenance = dict[str, Any]
ARROW_TYPES = {
    bool: pa.bool_(),
    bytes: pa.binary(),
    float: pa.float64(),
    int: pa.int32(),
    str: pa.string(),
}
R = TypeVar("R")
ROWS_AT_ONCE = 256
# A table of ours unpacks to less than the one, or to less than the other times its size.
UNPACKED, RATIO = 2**30, 100


def _spare_pandas() -> None:
    """Keep pyarrow from importing pandas for its first array, which takes longer than a stage.

    Where pandas is needed (`to_pandas`) pyarrow looks for it again.
    """
    if "pandas" not in sys.modules:
        sys.modules["pandas"] = None  # type: ignore[assignment]
        with suppress(AttributeError):  # pyarrow takes this None for the module
            pa.array([])
        del sys.modules["pandas"]


_spare_pandas()


def schema_of(row: type) -> pa.Schema:
    """Derives the Arrow schema of a dataclass, one column per attribute.

    Columns are nullable where the type is `X | None`. Literals are strings, lists and tuples are
    lists, dataclasses are structs; `Annotated[X, arrow_type]` chooses another type.
    """
    return pa.schema(list(_fields(row)))


def _fields(row: Any) -> Iterator[pa.Field]:
    hints = get_type_hints(row, include_extras=True)
    for field in dataclasses.fields(row):
        hint = hints[field.name]
        if nullable := get_origin(hint) in (Union, UnionType):
            (hint,) = (option for option in get_args(hint) if option is not NoneType)
        yield pa.field(field.name, _arrow_type(hint), nullable=nullable)


def _arrow_type(hint: Any) -> pa.DataType:
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return arguments[1]
    if kind is Literal:
        return pa.string()
    if kind in (list, tuple):
        return pa.list_(_arrow_type(arguments[0]))
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(_fields(hint)))
    return ARROW_TYPES[hint]


def table_of(rows: Iterable[Any], schema: pa.Schema, version: str) -> pa.Table:
    """Converts dataclass instances to a table of their schema; refuses a value of another type."""
    try:
        return pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise PipelineError(f"The rows do not fit the schema {version}: {error}") from error


def with_metadata(
    schema: pa.Schema, version: str, provenance: Provenance | None = None
) -> pa.Schema:
    """Adds version and provenance to a schema, as one JSON string to keep the bytes stable."""
    text = json.dumps({"schema": version, **(provenance or {})}, sort_keys=True)
    return schema.with_metadata({METADATA_KEY: text})


def write_table(
    path: Path, table: pa.Table, version: str, provenance: Provenance | None = None
) -> None:
    """Write a small table as one row group, whole or not at all; refuse nulls where none may be."""
    try:
        table.validate(full=True)
        columns = [column.combine_chunks() for column in table.columns]
        schema = with_metadata(table.schema, version, provenance)
        whole = pa.Table.from_arrays(columns, schema=schema)
        with replacing(path) as part:
            pq.write_table(whole, part, compression="zstd", row_group_size=max(1, len(whole)))
    except pa.ArrowInvalid as error:
        raise PipelineError(f"{path}: the rows do not fit the schema {version}: {error}") from error


@contextmanager
def streaming(
    path: Path,
    schema: pa.Schema,
    version: str,
    provenance: Provenance,
    footer: Mapping[str, str] | None = None,
) -> Iterator[Callable[[pa.Table], None]]:
    """Write a large table, uncompressed, whole or not at all; gives what takes the next row group.

    The `footer`, filled while the table is written, is kept as the file's own metadata.
    """
    full = with_metadata(schema, version, provenance)
    with (
        replacing(path) as part,
        pq.ParquetWriter(part, full, compression="none", use_dictionary=False) as writer,
    ):
        yield writer.write_table
        writer.add_key_value_metadata(footer or {})


def read_table(path: Path, schema: pa.Schema, version: str) -> tuple[pa.Table, Provenance]:
    """Read a table and its provenance; refuse other schemas and what unpacks to far too much."""
    provenance = read_provenance(path, version)
    with opened(path, schema, version) as file:
        batches = list(of_sane_size(path, file))
    return pa.Table.from_batches(batches, schema).combine_chunks(), provenance


def read_streamed(
    path: Path, schema: pa.Schema, version: str
) -> tuple[pa.Table, Provenance, Mapping[bytes, bytes]]:
    """Read a table that `streaming` wrote, its provenance and its footer; refuse other files."""
    provenance = read_provenance(path, version)
    with opened(path, schema, version) as file:
        refuse_packed(path, file)
        return file.read().combine_chunks(), provenance, file.metadata.metadata or {}


def read_rows(path: Path, row: type[R], version: str) -> tuple[list[R], Provenance]:
    """Read a table as dataclass instances, and its provenance; refuse what `read_table` refuses."""
    table, provenance = read_table(path, schema_of(row), version)
    return validated(path, TypeAdapter(list[row]), table), provenance  # type: ignore[valid-type]


def validated(path: Path, rows: TypeAdapter[list[R]], table: pa.Table | pa.RecordBatch) -> list[R]:
    """The rows of a table; refuses a value that is none of those that its column has."""
    try:
        return rows.validate_python(table.to_pylist())
    except ValidationError as error:
        wrong = error.errors()[0]
        raise refused(path, f"{wrong['input']!r} in {wrong['loc']}: {wrong['msg']}") from error


def read_provenance(path: Path, version: str) -> Provenance:
    """Check a table's version and read the provenance in its footer; refuse other files."""
    with _one_error(path):
        metadata = pq.read_schema(path).metadata or {}
    try:
        provenance: Provenance = dict(json.loads(metadata.get(METADATA_KEY.encode(), b"{}")))
    except (ValueError, TypeError, RecursionError) as error:
        raise refused(path, f"its provenance cannot be read: {error}") from error
    got = provenance.pop("schema", "no version")
    if got != version:
        raise PipelineError(
            f"{path} is of schema {got!r}, expected {version!r}; delete it and run `dvc repro`."
        )
    return provenance


@contextmanager
def opened(path: Path, schema: pa.Schema, version: str) -> Iterator[pq.ParquetFile]:
    """Opens a table to be read; refuses other columns, and damaged parts that the block reads."""
    with _one_error(path), pq.ParquetFile(path) as file:
        if not file.schema_arrow.equals(schema):
            raise PipelineError(
                f"{path} has other columns than {version}; delete it and run `dvc repro`."
            )
        yield file


def refuse_packed(path: Path, file: pq.ParquetFile) -> None:
    """Refuse a table that is larger in memory than in its file; none that `streaming` wrote is."""
    groups, columns = range(file.metadata.num_row_groups), range(file.metadata.num_columns)
    for column in (file.metadata.row_group(g).column(c) for g in groups for c in columns):
        if column.compression != "UNCOMPRESSED" or set(column.encodings) - {"PLAIN", "RLE"}:
            raise refused(
                path,
                f"its column {column.path_in_schema} is packed ({column.compression}, "
                f"{', '.join(column.encodings)}), which none of this pipeline is",
            )


def refused(path: Path, reason: str) -> PipelineError:
    """The error for a table whose content cannot be used."""
    return PipelineError(f"{path} cannot be used: {reason}; delete it and run `dvc repro`.")


def of_sane_size(path: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an `opened` table; refuse too many bytes, as a few may stand for many."""
    metadata, limit = file.metadata, max(UNPACKED, RATIO * path.stat().st_size)
    stated = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    unpacked = 0
    for batch in file.iter_batches(ROWS_AT_ONCE) if stated <= limit else ():
        yield batch
        unpacked += batch.nbytes
        if unpacked > limit:
            break
    if max(stated, unpacked) > limit:
        raise refused(
            path, f"its {path.stat().st_size} bytes unpack to more than {limit / 2**30:.0f} GiB"
        )


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Put the errors of reading a table into words."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise refused(path, "it is not a file")
        yield
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing; `dvc repro` makes it.") from error
    except PermissionError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}.") from error
    except pa.ArrowMemoryError as error:
        raise PipelineError(f"{path} does not fit into memory: {error}.") from error
    except (pa.ArrowException, OSError) as error:
        raise PipelineError(
            f"{path} is not a Parquet file: {error}. Delete it and run `dvc repro`."
        ) from error
