"""Votes: how often raters are right, and what the majority makes of them."""

from collections import Counter

import numpy as np
import pytest

from pipeline.demo.iemocap_text import Rating
from pipeline.demo.raters import (
    EXTERNAL,
    RIGHT,
    consensus,
    draw_raters,
    mean_numbers,
    rate,
    split_happiness,
)

A, F, N, H = "Anger", "Frustration", "Neutral", "Happiness"


def votes(*lines):
    names = ("E1", "E2", "E4", "M1")
    return [Rating(n, labels, 3, 3, 3) for n, labels in zip(names, lines, strict=False)]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (((A,), (A,), (F,)), "ang"),
        (((A,), (F,), (N,)), "xxx"),
        (((A,), (F,), (N,), (A,)), "xxx"),  # the self-report has no vote
        (((A, F), (F,), (N,)), "fru"),
        (((A, F), (F,), (A,)), "xxx"),  # two each
        (((), (H,), (H,)), "hap"),
        (((), (H,), (N,)), "xxx"),
        (((), (), ()), "xxx"),
    ],
)
def test_majority(lines, code):
    assert consensus(votes(*lines)) == code


def test_numbers_are_the_external_raters_mean():
    ratings = [
        Rating("E1", (A,), 1, None, 5),
        Rating("E2", (A,), 2, None, 4),
        Rating("E3", (A,), 2, None, None),
        Rating("F1", (A,), 5, 5, 5),
    ]
    assert mean_numbers(ratings) == (1.6667, 3.0, 4.5)


def test_raters_are_three_of_four():
    drawn = {draw_raters(np.random.default_rng(seed)) for seed in range(40)}
    assert drawn == {tuple(e for e in EXTERNAL if e != left) for left in EXTERNAL}


def test_raters_are_mostly_right():
    rng = np.random.default_rng(0)
    lines = [r for _ in range(800) for r in rate(rng, "anger", EXTERNAL[:3], "F")]
    labelled = [r.labels[0] for r in lines if r.labels]
    assert abs(np.mean([label == A for label in labelled]) - RIGHT) < 0.03
    wrong = Counter(label for label in labelled if label != A)
    assert wrong.most_common(1)[0][0] == F
    assert wrong["Other"] > 0
    assert {r.rater for r in lines} == {"E1", "E2", "E3", "F1"}


def test_split_happiness_has_no_majority_without_the_report():
    ratings = split_happiness(np.random.default_rng(0), EXTERNAL[:3], "M")
    assert consensus(ratings) == "xxx"
    assert ratings[-1].rater == "M1"
    assert ratings[-1].labels == (H,)
    assert Counter(label for r in ratings for label in r.labels).most_common(1) == [(H, 2)]
