"""The table of every epoch's predictions, from which `evaluate` derives its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa

from pipeline.base.tables import read_table, refused, schema_of, write_table

VERSION = "epochs/2"


@dataclass(frozen=True)
class EpochPrediction:
    """The predictions of one epoch of one run for one split.

    Attributes:
        fold: Of the protocol.
        seed: Of the run.
        epoch: From 1.
        selected: Whether validation chose this epoch.
        split: `valid` or `test`.
        utterances: Ids.
        probabilities: [utterance, class] float32.
    """

    fold: int
    seed: Annotated[int, pa.int64()]
    epoch: int
    selected: bool
    split: str
    utterances: list[str]
    probabilities: Annotated[np.ndarray, pa.list_(pa.float32())]


SCHEMA = schema_of(EpochPrediction)


def write_epochs(path: Path, rows: Sequence[EpochPrediction], about: Mapping[str, Any]) -> None:
    """Write the table of all runs and epochs.

    Args:
        path: Where to.
        rows: None where the system is left out, as `about` says.
        about: What is printed beside the system's figures.
    """
    cells = [
        {**vars(row), "probabilities": row.probabilities.astype("<f4").ravel()} for row in rows
    ]
    write_table(path, pa.Table.from_pylist(cells, SCHEMA), VERSION, {"about": dict(about)})


def read_epochs(path: Path) -> tuple[list[EpochPrediction], dict[str, Any]]:
    """Read the table, and what is printed beside the system's figures.

    Raises:
        PipelineError: The file is missing, of another version, or its probabilities are not
            finite or not those of as many classes for each utterance.
    """
    table, provenance = read_table(path, SCHEMA, VERSION)
    rows = []
    for row in table.to_pylist():
        flat, count = np.array(row["probabilities"], np.float32), len(row["utterances"])
        if not count or not len(flat) or len(flat) % count or not np.isfinite(flat).all():
            run = f"fold {row['fold']}, seed {row['seed']}, epoch {row['epoch']}, {row['split']}"
            raise refused(
                path,
                f"{run} has {np.isfinite(flat).sum()} finite probabilities for {count} utterances",
            )
        row["probabilities"] = flat.reshape(count, -1)
        rows.append(EpochPrediction(**row))
    return rows, dict(provenance.get("about", {}))
