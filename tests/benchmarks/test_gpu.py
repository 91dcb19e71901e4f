"""Agreement of vectors is relative, and a part that fails does not take the others with it."""

import numpy as np
import pytest

from benchmarks import gpu


def test_differences_are_relative_to_the_largest_value():
    expected = np.array([[3.0, 4.0], [0.0, 2.0]])
    largest, cosine = gpu.differences("a", np.array([[3.0, 4.0], [1.0, 1.0]]), expected)
    assert (largest.what, largest.value) == ("a: largest difference", 0.25)
    assert cosine.value == pytest.approx(0.5**0.5)


def test_a_part_that_fails_is_reported_as_skipped(monkeypatch, tmp_path):
    def fails(*_):
        yield gpu.Row("first", 1.0)
        raise OSError("no detector")

    monkeypatch.setitem(gpu.PARTS, "stages", fails)
    first, skipped = gpu.measured("stages", gpu.QUICK, tmp_path, tmp_path)
    assert first.value == 1.0
    assert skipped.what == "stages: skipped, OSError: no detector"
