"""Heads of fine-tuned encoders: written, read, refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.records.head import Head, read_head, write_head


def test_a_head_is_read_as_it_was_written(tmp_path: Path) -> None:
    weight, bias = np.array([[1, 0], [0, 2]], np.float32), np.array([0, 1], np.float32)
    write_head(tmp_path / "head", Head(("a", "b"), weight, bias))
    read = read_head(tmp_path / "head")
    assert read is not None and read.classes == ("a", "b")
    assert (read.weight.tolist(), read.bias.tolist()) == ([[1, 0], [0, 2]], [0, 1])
    write_head(tmp_path / "head", None)
    assert read_head(tmp_path / "head") is None
    (tmp_path / "head").write_bytes(b"{}")
    with pytest.raises(PipelineError, match="cannot be read as a head"):
        read_head(tmp_path / "head")


@pytest.mark.parametrize(
    ("classes", "weight", "bias"),
    [
        (("a", "b", "c"), [[1, 0], [0, 2]], [0, 1]),
        (("a", "b"), [[1, 0], [0, 2]], [0, 1, 2]),
        (("a", "b"), [[1, np.nan], [0, 2]], [0, 1]),
        (("a", "b"), [[1, 0], [0, 2]], [0, np.inf]),
        (("a", "b"), [1, 0], [0, 1]),
    ],
)
def test_a_head_that_is_none_is_refused(
    tmp_path: Path, classes: tuple[str, ...], weight: Any, bias: Any
) -> None:
    head = Head(classes, np.array(weight, np.float32), np.array(bias, np.float32))
    write_head(tmp_path / "head", head)
    with pytest.raises(PipelineError, match="expected finite weights"):
        read_head(tmp_path / "head")
