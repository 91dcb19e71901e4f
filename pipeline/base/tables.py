"""Parquet tables with a version, a checked schema and reproducible bytes."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

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
    return pa.schema(_fields(row))


def _fields(row: Any) -> list[pa.Field]:
    hints = get_type_hints(row, include_extras=True)
    return [_field(field.name, hints[field.name]) for field in dataclasses.fields(row)]


def _field(name: str, hint: Any) -> pa.Field:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
        return pa.field(name, _arrow_type(hint))
    return pa.field(name, _arrow_type(hint), nullable=False)


def _arrow_type(hint: Any) -> pa.DataType:
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return arguments[1]
    if kind is Literal:
        return pa.string()
    if kind in (list, tuple):
        return pa.list_(_arrow_type(arguments[0]))
    if dataclasses.is_dataclass(hint):
        return pa.struct(_fields(hint))
    return ARROW_TYPES[hint]


def table_of(rows: Iterable[Any], schema: pa.Schema, version: str) -> pa.Table:
    """Converts dataclass instances to a table of their schema.

    Raises:
        PipelineError: A value is not of its column's type.
    """
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
    """Writes a small table as one row group, whole or not at all.

    Args:
        path: Where to.
        table: Its rows and columns.
        version: Name and version of the schema, checked on reading.
        provenance: Further facts that JSON can hold.

    Raises:
        PipelineError: A column that is not nullable holds nulls.
    """
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
    path: Path, schema: pa.Schema, version: str, provenance: Provenance
) -> Iterator[Callable[[pa.Table], None]]:
    """Writes a large table, uncompressed, whole or not at all.

    Yields:
        A function that takes the next row group.
    """
    full = with_metadata(schema, version, provenance)
    with (
        replacing(path) as part,
        pq.ParquetWriter(part, full, compression="none", use_dictionary=False) as writer,
    ):
        yield writer.write_table


def read_table(path: Path, schema: pa.Schema, version: str) -> tuple[pa.Table, Provenance]:
    """Reads a table and its provenance.

    Raises:
        PipelineError: The file is missing, not Parquet, or of another schema or version.
    """
    provenance = read_provenance(path, version)
    table = pq.read_table(path)
    if not table.schema.equals(schema):
        raise PipelineError(
            f"{path} has other columns than {version}; delete it and run `dvc repro`."
        )
    return table, provenance


def read_rows(path: Path, row: type[R], version: str) -> tuple[list[R], Provenance]:
    """Reads a table as dataclass instances, and its provenance.

    Raises:
        PipelineError: As `read_table`.
    """
    table, provenance = read_table(path, schema_of(row), version)
    return TypeAdapter(list[row]).validate_python(table.to_pylist()), provenance  # type: ignore[valid-type]


def read_provenance(path: Path, version: str) -> Provenance:
    """Checks a table's version and reads the provenance in its footer.

    Raises:
        PipelineError: The file is missing, not Parquet, or of another version.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing; `dvc repro` makes it.") from error
    except pa.ArrowInvalid as error:
        raise PipelineError(
            f"{path} is not a Parquet file: {error}. Delete it and run `dvc repro`."
        ) from error
    provenance: Provenance = json.loads(metadata.get(METADATA_KEY.encode(), b"{}"))
    got = provenance.pop("schema", "no version")
    if got != version:
        raise PipelineError(
            f"{path} is of schema {got!r}, expected {version!r}; delete it and run `dvc repro`."
        )
    return provenance
