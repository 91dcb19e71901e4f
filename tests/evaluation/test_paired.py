"""Intervals and differences by dialogue: scores as sklearn's, bootstrap by hand and by loop."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.evaluation.intervals import McNemar, difference, mcnemar, resample, resample_weights
from pipeline.evaluation.scores import OVERALL, confusions, f1, score, uar

CLASSES = 5


def random_corpus(seed: int, dialogues: int = 30, turns: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """[utterance] class numbers, the last class rare, and [utterance] dialogue numbers."""
    generator = np.random.default_rng(seed)
    actual = generator.choice(CLASSES, dialogues * turns, p=[0.4, 0.3, 0.2, 0.09, 0.01])
    return actual, np.repeat(np.arange(dialogues), turns)


def random_predictions(actual: np.ndarray, skill: float, seeds: int, first: int) -> np.ndarray:
    """[seed, utterance]: right with probability `skill`, else any class but the last."""
    rows = []
    for seed in range(seeds):
        generator = np.random.default_rng([first, seed])
        wrong = generator.integers(CLASSES - 1, size=len(actual))
        rows.append(np.where(generator.random(len(actual)) < skill, actual, wrong))
    return np.stack(rows)


@pytest.mark.parametrize("seed", range(5))
def test_counts_give_the_figures_of_sklearn(seed: int) -> None:
    actual, dialogues = random_corpus(seed)
    predicted = random_predictions(actual, 0.4, 3, seed)
    whole = confusions(actual, predicted, dialogues, CLASSES).sum(1)
    names = [str(number) for number in range(CLASSES)]
    for run, counts in zip(predicted, whole, strict=True):
        expected = score(actual, run, names)
        for name, figure in OVERALL.items():
            assert 100 * figure(counts) == pytest.approx(getattr(expected, name), abs=1e-10)
        assert 100 * f1(counts) == pytest.approx(list(expected.f1.values()), abs=1e-10)


def test_a_class_that_does_not_occur_has_no_recall() -> None:
    assert uar(np.array([[2.0, 1.0], [0.0, 0.0]])) == pytest.approx(2 / 3)


def test_counts_of_a_dialogue_are_its_own() -> None:
    counts = confusions(
        np.array([0, 1, 1]), np.array([[0, 0, 1], [1, 1, 1]]), np.array([0, 0, 1]), 2
    )
    assert counts[0].tolist() == [[[1, 0], [1, 0]], [[0, 0], [0, 1]]]
    assert counts[1].tolist() == [[[0, 1], [0, 1]], [[0, 0], [0, 1]]]


def test_a_resample_draws_as_many_dialogues_as_there_are() -> None:
    weights = resample_weights(7, 100)
    assert weights.shape == (100, 7) and (weights.sum(1) == 7).all()
    assert np.array_equal(weights, resample_weights(7, 100)), "the seed is fixed"
    assert weights.mean() == pytest.approx(1) and weights.std() > 0.5


def test_the_bootstrap_by_hand() -> None:
    """Two dialogues with an utterance of class 0 and one of class 1 each.

    `other` predicts 0 everywhere: F1 of 0 is 2/3 and of 1 is 0, so weighted 1/3 in any draw.
    `one` is right in the first dialogue and predicts 0 in the second:
    - both drawn once: class 0 has 2 right, 2 + 3 named: 4/5; class 1 has 1 right, 2 + 1 named:
      2/3; weighted 11/15
    - the first drawn twice: 1
    - the second drawn twice: 1/3
    """
    actual, dialogues = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    one, other = (
        confusions(actual, np.array([run]), dialogues, 2) for run in ([0, 1, 0, 0], [0, 0, 0, 0])
    )
    for drawn, expected in (([1, 1], 11 / 15), ([2, 0], 1), ([0, 2], 1 / 3)):
        gain = difference(one, other, np.array([drawn], float))
        assert gain.low == gain.high == pytest.approx(100 * (expected - 1 / 3))
        assert gain.value == pytest.approx(100 * (11 / 15 - 1 / 3)), "on all dialogues once"


def test_equal_predictions_differ_by_exactly_nothing() -> None:
    actual, dialogues = random_corpus(1)
    counts = confusions(actual, random_predictions(actual, 0.5, 3, 1), dialogues, CLASSES)
    gain = difference(counts, counts, resample_weights(30))
    assert (gain.value, gain.low, gain.high) == (0, 0, 0) and not gain.clear


def test_a_planted_difference_is_found_and_none_is_not() -> None:
    actual, dialogues = random_corpus(2)
    better, worse, alike = (
        confusions(actual, random_predictions(actual, skill, 3, first), dialogues, CLASSES)
        for skill, first in ((0.6, 10), (0.4, 11), (0.6, 12))
    )
    weights = resample_weights(30)
    gain = difference(better, worse, weights)
    assert gain.clear and gain.low > 0 and gain.low < gain.value < gain.high
    back = difference(worse, better, weights)
    assert (back.low, back.high) == pytest.approx((-gain.high, -gain.low))
    assert not difference(better, alike, weights).clear


def test_the_matrix_product_is_the_loop_over_resamples() -> None:
    """Draw dialogues one by one and score them with sklearn; the numbers of seeds differ."""
    actual, dialogues = random_corpus(3, dialogues=6, turns=4)
    one, other = random_predictions(actual, 0.7, 2, 20), random_predictions(actual, 0.3, 3, 21)
    weights = resample_weights(6, 50)
    drawn = []
    for row in weights:
        taken = [
            u for d in range(6) for _ in range(int(row[d])) for u in np.flatnonzero(dialogues == d)
        ]
        means = []
        for model in (one, other):
            total = 0.0
            for run in model:
                total += f1_score(actual[taken], run[taken], average="weighted", zero_division=0)
            means.append(total / len(model))
        drawn.append(100 * (means[0] - means[1]))
    counts = [confusions(actual, model, dialogues, CLASSES) for model in (one, other)]
    gain = difference(counts[0], counts[1], weights)
    assert (gain.low, gain.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_an_interval_is_that_of_the_seeds_mean() -> None:
    """Seed 1 is right in dialogue 0 alone, seed 2 in dialogue 1 alone: always half on average."""
    actual, dialogues = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    predicted = np.array([[0, 1, 1, 0], [1, 0, 0, 1]])
    interval = resample(actual, predicted, dialogues, 2).interval(OVERALL["accuracy"])
    assert (interval.value, interval.low, interval.high) == (50, 50, 50)
    alone = resample(actual, predicted[:1], dialogues, 2).interval(OVERALL["accuracy"])
    assert (alone.low, alone.high) == (0, 100)


def test_mcnemar_by_hand() -> None:
    """Of six utterances on which one alone is right, the first has five: p = 2 * 7 / 2**6."""
    actual = np.zeros(8, int)
    one = np.array([0, 0, 0, 0, 0, 1, 0, 1])
    other = np.array([1, 1, 1, 1, 1, 0, 0, 1])
    assert mcnemar(actual, one, other) == McNemar(5, 1, pytest.approx(14 / 64))
    assert mcnemar(actual, one, one) == McNemar(0, 0, 1.0)
