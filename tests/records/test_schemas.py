"""The columns of every record are pinned: they change with the record's version only."""

import hashlib

from pipeline.records import epochs, features, frames, ledger, manifest, predictions, protocol

PINNED = {
    "epochs/2": "3736baea6eb1",
    "features/1": "7baa5618caa0",
    "frames/3": "799ef47e2035",
    "ledger/1": "4ed62f94c3f5",
    "manifest/3": "8c8ee811d79e",
    "predictions/3": "7859a7385a77",
    "protocol/1": "4f39905e8e01",
}


def test_columns_change_with_the_version_only() -> None:
    schemas = {m.VERSION: m.SCHEMA for m in (epochs, features, frames, ledger, manifest, protocol)}
    schemas[predictions.VERSION] = predictions.schema(["joy"])
    found = {}
    for version, schema in schemas.items():
        columns = [(column.name, str(column.type), column.nullable) for column in schema]
        found[version] = hashlib.sha256(repr(columns).encode()).hexdigest()[:12]
    assert found == PINNED, "raise the VERSION of a record whose columns you change"
