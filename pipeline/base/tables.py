"""Parquet tables with a version, a checked schema and reproducible bytes."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing

KEY = b"erc"


def with_metadata(
    schema: pa.Schema, version: str, about: dict[str, Any] | None = None
) -> pa.Schema:
    """The schema with its version and facts as one JSON string, which keeps the bytes stable."""
    facts = json.dumps({"schema": version, **(about or {})}, sort_keys=True)
    return schema.with_metadata({KEY: facts.encode()})


def write_table(
    path: Path, table: pa.Table, version: str, about: dict[str, Any] | None = None
) -> None:
    """Writes a small table, whole or not at all.

    Args:
        path: Where to.
        table: Its rows and columns; one row group is written.
        version: Name and version of the schema, checked on reading.
        about: Further facts that JSON can hold.

    Raises:
        PipelineError: A column that must not be empty is.
    """
    try:
        table.validate(full=True)
        columns = [c.combine_chunks() for c in table.columns]
        whole = pa.Table.from_arrays(columns, schema=with_metadata(table.schema, version, about))
        with replacing(path) as part:
            pq.write_table(whole, part, compression="zstd", row_group_size=max(1, len(whole)))
    except pa.ArrowInvalid as error:
        raise PipelineError(f"{path}: the rows do not fit the schema {version}: {error}") from error


def read_table(path: Path, schema: pa.Schema, version: str) -> tuple[pa.Table, dict[str, Any]]:
    """Reads a table and its facts.

    Returns:
        The table in one piece, and the facts it was written with.

    Raises:
        PipelineError: No such file, not Parquet, or another schema version.
    """
    about = read_about(path, version)
    table = pq.read_table(path)
    if not table.schema.equals(schema):
        raise PipelineError(
            f"{path} has other columns than {version} says; delete it, `dvc repro`."
        )
    return table, about


def read_about(path: Path, version: str) -> dict[str, Any]:
    """The facts in a table's footer, after a check of its version.

    Raises:
        PipelineError: No such file, not Parquet, or another schema version.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing; `dvc repro` makes it.") from error
    except pa.ArrowInvalid as error:
        raise PipelineError(
            f"{path} is not a Parquet file: {error}. Delete it, `dvc repro`."
        ) from error
    about: dict[str, Any] = json.loads(metadata.get(KEY, b"{}"))
    found = about.pop("schema", "no version")
    if found != version:
        raise PipelineError(
            f"{path} is of schema {found!r}, expected {version!r}; delete it and run `dvc repro`."
        )
    return about
