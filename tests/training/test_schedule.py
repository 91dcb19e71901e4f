"""The learning rate by hand, for each schedule."""

import pytest

from pipeline.base.params import read_params
from pipeline.systems.base import Settings
from pipeline.training.batches import rate
from tests.conftest import PARAMS

STEPS = 4  # of an epoch


def settings(schedule: str, warmup: float = 0.0) -> Settings:
    """Ten epochs of four steps with a full rate of 1."""
    known = read_params(PARAMS).system("demo_meld", "mcn_cl")
    copied: Settings = known.model_copy(
        update={
            "schedule": schedule,
            "warmup": warmup,
            "epochs": 10,
            "learning_rate": 1.0,
            "plateau_patience": 1,
            "plateau_factor": 0.5,
        }
    )
    return copied


def learning_rate(known: Settings, step: int, steps: int, scores: list[float]) -> float:
    numerator, denominator = rate(known, step, steps, scores)
    return known.learning_rate * numerator / denominator


@pytest.mark.parametrize("schedule", ["cosine", "linear", "plateau", "constant"])
def test_the_rate_rises_linearly_over_the_warm_up(schedule: str) -> None:
    rates = [learning_rate(settings(schedule, 0.1), step, STEPS, []) for step in range(4)]
    assert rates == [0.25, 0.5, 0.75, 1.0]


def test_constant_stays() -> None:
    assert learning_rate(settings("constant", 0.1), 39, STEPS, [1.0] * 9) == 1.0


def test_cosine_is_full_at_first_half_in_the_middle_and_nothing_at_the_end() -> None:
    rates = [learning_rate(settings("cosine"), step, STEPS, []) for step in (0, 20, 40)]
    assert rates == pytest.approx([1.0, 0.5, 0.0])


def test_linear_falls_evenly() -> None:
    rates = [learning_rate(settings("linear"), step, STEPS, []) for step in (0, 10, 40)]
    assert rates == [1.0, 0.75, 0.0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], 1.0),
        ([10, 11, 12], 1.0),
        ([10, 9], 1.0),  # one epoch without a better score is borne
        ([10, 9, 9], 0.5),
        ([10, 10, 10], 0.5),  # as good is not better
        ([10, 9, 9, 11, 10], 0.5),
        ([10, 9, 9, 9, 9], 0.25),
    ],
)
def test_plateau_halves_when_two_epochs_bring_nothing(scores: list[float], expected: float) -> None:
    assert learning_rate(settings("plateau"), 20, STEPS, scores) == expected


def test_plateau_does_not_count_the_epochs_of_the_warm_up() -> None:
    # A warm-up of 0.3 takes three epochs; what they scored says nothing about the full rate.
    scores = [10.0, 9.0, 9.0, 8.0]
    assert learning_rate(settings("plateau", 0.3), 16, STEPS, scores) == 1.0
