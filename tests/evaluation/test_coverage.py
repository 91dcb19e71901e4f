"""Coverage of the 95 % intervals on generated corpora whose true scores are known."""

from dataclasses import dataclass

import numpy as np
import pytest

from pipeline.evaluation.intervals import Interval, caution, difference, resample, resample_weights
from pipeline.evaluation.scores import OVERALL, Score, confusions

# All three were fixed before the first run.
SEED, TRIALS, DIALOGUES = 20_261_126, 2000, 200
POPULATION = 200_000  # dialogues, from which the truth is read
SHARES = np.array([0.48, 0.11, 0.02, 0.08, 0.15, 0.03, 0.13])  # about MELD's test split


@dataclass(frozen=True)
class Corpus:
    """[utterance] actual, [model, utterance] predicted, [utterance] dialogue numbers."""

    actual: np.ndarray
    predicted: np.ndarray
    dialogues: np.ndarray

    def counts(self) -> np.ndarray:
        """[model, dialogue, actual, predicted]."""
        return confusions(self.actual, self.predicted, self.dialogues, len(SHARES))


def corpus(generator: np.random.Generator, dialogues: int) -> Corpus:
    """Dialogues of 2 to 20 turns, with a mood and a difficulty of their own.

    Both models are right with a probability of the dialogue's; of what they get wrong they say
    neutral half of the time, as models do. The second is a little better.
    """
    turns = generator.integers(2, 21, dialogues)
    owner = np.repeat(np.arange(dialogues), turns)
    moods = generator.dirichlet(3 * SHARES, dialogues)
    draws = generator.random(len(owner))[:, None]
    actual = (draws > moods.cumsum(1)[owner]).sum(1).clip(max=len(SHARES) - 1)
    ease = generator.beta(4, 3, dialogues)[owner]
    predicted = []
    for gain in (0.0, 0.05):
        right = generator.random(len(owner)) < ease + gain
        other = generator.integers(len(SHARES), size=len(owner))
        wrong = np.where(generator.random(len(owner)) < 0.5, 0, other)
        predicted.append(np.where(right, actual, wrong))
    return Corpus(actual, np.stack(predicted), owner)


def truth(score: Score) -> tuple[float, float]:
    """The second model's figure on the whole population, and how much better it is."""
    # Scores of the population's counts are ratios of means, as those of a sample are.
    one, other = score(corpus(np.random.default_rng(SEED), POPULATION).counts().sum(1))
    return 100 * float(other), 100 * float(other - one)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weighted_f1", "uar"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str) -> None:
    score = OVERALL[name]
    value, gain = truth(score)
    weights, held = resample_weights(DIALOGUES, 1000), np.zeros(2)
    for trial in range(TRIALS):
        toy = corpus(np.random.default_rng([SEED, trial]), DIALOGUES)
        draws = resample(toy.actual, toy.predicted[1:], toy.dialogues, len(SHARES), weights)
        counts = toy.counts()
        gap = difference(counts[1:], counts[:1], weights, score)
        held += [_holds(draws.interval(score), value), _holds(gap, gain)]
    shares = held / TRIALS
    print(
        f"{name}: the interval holds the truth in {shares[0]:.1%}, that of the difference in "
        f"{shares[1]:.1%} of {TRIALS} trials with {DIALOGUES} dialogues"
    )
    assert (shares >= 0.92).all() and (shares <= 0.98).all()


@pytest.mark.slow
def test_few_dialogues_make_intervals_that_are_too_short() -> None:
    """The coverage that `caution` states for 10 dialogues."""
    score, trials = OVERALL["weighted_f1"], 600
    value, _ = truth(score)
    held = 0
    for trial in range(trials):
        toy = corpus(np.random.default_rng([SEED, 10, trial]), 10)
        draws = resample(toy.actual, toy.predicted[1:], toy.dialogues, len(SHARES))
        held += _holds(draws.interval(score), value)
    print(f"10 dialogues: the interval holds the truth in {held / trials:.1%} of {trials} trials")
    assert 0.83 < held / trials < 0.92
    assert "88 %" in caution(10) and caution(DIALOGUES) == ""


def _holds(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high
