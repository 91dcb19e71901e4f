"""Scores by hand."""

import numpy as np
import pytest

from pipeline.evaluation.evaluate import overall
from pipeline.evaluation.scores import score

ABC = ("a", "b", "c")


def test_scores_by_hand() -> None:
    """Actual a a a b b c, predicted a a b b c c.

    a: precision 2/2, recall 2/3, F1 0.8; b: 1/2 and 1/2, F1 0.5; c: 1/2 and 1/1, F1 2/3.
    Weighted: (3 * 0.8 + 2 * 0.5 + 2/3) / 6 = 0.67778; macro: 0.65556; accuracy 4/6.
    Unweighted average recall: (2/3 + 1/2 + 1) / 3 = 0.72222.
    """
    scores = score(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2]), ABC)
    assert scores.precision == pytest.approx({"a": 100, "b": 50, "c": 50})
    assert scores.recall == pytest.approx({"a": 200 / 3, "b": 50, "c": 100})
    assert scores.f1 == pytest.approx({"a": 80, "b": 50, "c": 200 / 3})
    assert scores.support == {"a": 3, "b": 2, "c": 1}
    assert scores.weighted_f1 == pytest.approx(67.7778, abs=1e-3)
    assert scores.macro_f1 == pytest.approx(65.5556, abs=1e-3)
    assert scores.accuracy == pytest.approx(66.6667, abs=1e-3)
    assert scores.uar == pytest.approx(72.2222, abs=1e-3)


def test_a_class_without_utterances_is_zero_in_macro_f1_and_not_in_recall() -> None:
    scores = score(np.array([0, 0]), np.array([0, 1]), ABC)
    assert scores.macro_f1 == pytest.approx(100 * (2 / 3) / 3)
    assert scores.uar == 50, "b is predicted once and occurs nowhere: no recall of it"


def test_mean_and_sample_deviation_over_seeds() -> None:
    runs = [score(np.array([0, 1]), np.array(p), ("a", "b")) for p in ([0, 1], [0, 0])]
    figures = overall(runs)
    assert figures["accuracy"] == 75 and figures["accuracy_std"] == pytest.approx(35.36)
    assert figures["uar"] == 75, "1 and 1/2"
    assert "accuracy_std" not in overall(runs[:1])
