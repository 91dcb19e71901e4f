"""Reliability bins and the expected calibration error, by hand."""

import numpy as np
import pytest

from pipeline.evaluation.scores import ece, reliability


def test_by_hand() -> None:
    """Two at 0.75 of which one is right, two at 0.95 that are right, all of class 0.

    |1/2 - 0.75| * 2/4 + |1 - 0.95| * 2/4 = 0.15.
    """
    chances = np.array([[0.75, 0.25], [0.75, 0.25], [0.95, 0.05], [0.95, 0.05]])
    actual = np.array([0, 1, 0, 0])
    assert ece(actual, chances) == pytest.approx(0.15)
    bins = reliability(actual, chances[None])
    assert bins.to_numpy().tolist() == [[0.7, 0.8, 0.75, 0.5, 2], [0.9, 1.0, 0.95, 1.0, 2]]


def test_seeds_are_pooled_and_certainty_falls_into_the_last_bin() -> None:
    sure = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    bins = reliability(np.array([0]), sure)
    assert bins.to_numpy().tolist() == [[0.9, 1.0, 1.0, 0.5, 1]], "1 utterance, right in one of 2"


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_that_of_the_table(seed: int) -> None:
    generator = np.random.default_rng(seed)
    chances = generator.dirichlet(np.ones(5), 400)
    actual = generator.integers(0, 5, 400)
    table = reliability(actual, chances[None])
    gaps = (table["accuracy"] - table["confidence"]).abs() * table["utterances"]
    assert table["utterances"].sum() == 400
    assert ece(actual, chances) == pytest.approx(gaps.sum() / 400, abs=1e-4)
