"""Protocols, predictions of epochs and frames that were edited are refused with words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import PipelineError
from pipeline.records.epochs import EpochPrediction, read_epochs, write_epochs
from pipeline.records.frames import Pictures, present_rows, read_frames, write_frames
from pipeline.records.manifest import (
    Origin,
    Segment,
    read_manifest,
    stream_manifest,
    write_manifest,
)
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
from tests.synthetic import bare_utterance

ENTRIES = [Entry(0, "train", "d", "u0", "Ann", 0), Entry(0, "test", "e", "u1", "Bob", None)]
EPOCH = EpochPrediction(0, 1, 1, True, "test", ["u1"], np.array([[0.5, 0.5]], np.float32))
PICTURES = Pictures([0.5], [[0, 0, 1, 1]], "one", [b"x"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"label": 2}, "u0 has the label 2 of 2"),
        ({"label": -1}, "u0 has the label -1 of 2"),
        ({"split": "dev"}, "u0 is in the split 'dev'"),
        ({"utterance": "u1"}, "u1 stands in fold 0 twice"),
    ],
)
def test_a_protocol_that_breaks_a_rule(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    entries = [replace(ENTRIES[0], **entry), ENTRIES[1]]
    write_protocol(tmp_path / "p", Protocol(("a", "b"), entries))
    with pytest.raises(PipelineError, match=f"{message}; delete it"):
        read_protocol(tmp_path / "p")


def test_a_manifest_with_a_value_that_its_column_has_not(tmp_path: Path) -> None:
    path, region = tmp_path / "m", (0.0, 0.0, 1.0, 1.0)
    clip = Segment("a.mp4", end=1.0, sha256="0" * 64, region=region)
    row = replace(bare_utterance("d", 0, "joy"), video=clip, audio=clip)
    write_manifest(path, [row], Origin("meld", full=False))
    table = pq.read_table(path)
    (edited,) = table.to_pylist()
    edited["video"]["region"] = [0.0]
    pq.write_table(pa.Table.from_pylist([edited], table.schema), path)
    for read in (read_manifest, stream_manifest):
        with pytest.raises(PipelineError, match=r"cannot be used: .*delete it"):
            list(read(path))


@pytest.mark.parametrize(
    ("names", "chances", "message"),
    [
        (["u1"], [[np.nan, 0.5]], "has 1 finite probabilities for 1 utterances"),
        (["u1", "u2"], [[0.2, 0.3, 0.5]], "has 3 finite probabilities for 2 utterances"),
        ([], [], "has 0 finite probabilities for 0 utterances"),
    ],
)
def test_probabilities_of_an_epoch_that_are_none(
    tmp_path: Path, names: list[str], chances: Any, message: str
) -> None:
    row = replace(EPOCH, utterances=names, probabilities=np.array(chances, np.float32))
    write_epochs(tmp_path / "e", [EPOCH, row], {})
    with pytest.raises(PipelineError, match=f"seed 1, epoch 1, test {message}"):
        read_epochs(tmp_path / "e")


@pytest.mark.parametrize(
    "change",
    [{"present": False}, {"images": []}, {"images": [], "times": [], "boxes": []}, {"times": []}],
)
def test_frames_that_are_not_those_of_their_row(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "f"
    write_frames(path, [("u0", PICTURES), ("u1", None)], {})
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0].update(change)
    edited = pa.Table.from_pylist(rows, table.schema)
    pq.write_table(edited, path, compression="none", use_dictionary=False)
    with pytest.raises(PipelineError, match=r"u0 is (there|missing), but has {'times'"):
        list(read_frames(path))
    pq.write_table(edited, path)
    for read in (present_rows, lambda path: list(read_frames(path))):
        with pytest.raises(PipelineError, match="is packed"):
            read(path)
