"""Training in several stages, and by several players: selected, resumed, recorded."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.base.state import StateFile
from pipeline.nn.optimise import Player
from pipeline.training.fit import Limits, Run, RunState, Schedule

SCORES = {"teacher": [30.0, 20.0], "student": [5.0, 9.0]}


class TwoStages:
    """A layer that learns to give nothing, drawn anew by its second stage."""

    every_step = False
    rounds: Sequence[Sequence[str]] = ()
    limits = Limits(epochs=2, patience=2, stages=("teacher", "student"))
    schedule = Schedule(0.1, 0.0, 1.0, "float32", "toy")
    device = torch.device("cpu")

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.entered: list[str] = []
        self.seen = 0

    def enter(self, stage: str) -> dict[str, Sequence[Player]]:
        self.entered.append(stage)
        self.seen = 0
        if stage == "student":
            nn.init.normal_(self.model[1].weight)
        part = self.model[0 if stage == "teacher" else 1]
        return {stage: [Player(list(part.parameters()))]}

    def seed(self, epoch: int, step: int) -> int | None:
        return None if step else epoch

    def batches(self, epoch: int) -> list[list[int]]:
        self.steps = 0
        return [[0], [1]]

    def parts(self, places: Sequence[int]) -> Iterator[Any]:
        yield torch.randn(4, 3)

    def losses(self, part: Tensor) -> dict[str, Tensor]:
        return {"size": self.model(part).square().mean()}

    def after_step(self) -> dict[str, Tensor]:
        self.steps += 1
        return {"steps": torch.tensor(float(self.steps))}

    def rate(self, step: int, scores: Sequence[float]) -> tuple[float, float]:
        return 1.0, 1.0

    def end(self) -> tuple[dict[str, float], Mapping[str, Tensor]]:
        score = SCORES[self.entered[-1]][self.seen]
        self.seen += 1
        return {"valid_weighted_f1": score}, {"valid": torch.zeros(1, 2), "test": torch.zeros(1, 2)}

    def weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


def trained(path: Path, kill_after: int = 0) -> RunState:
    """Train to the end, killed once after an epoch."""
    file = StateFile(path, RunState)
    if kill_after:
        for state in Run(TwoStages()).go(file):
            if len(state.history) == kill_after:
                break
    *_, state = Run(again := TwoStages()).go(file)
    # A resumed learner that goes on within a stage has done an epoch of it already.
    assert again.entered[-1] == "student"
    return state


def test_each_stage_is_selected_by_itself(tmp_path: Path) -> None:
    state = trained(tmp_path / "run.pt")
    assert [row["epoch"] for row in state.history] == [1, 2, 3, 4]
    assert state.best_epoch == 4, "the student's best, though the teacher scored higher"
    assert state.before == 2 and state.scores == [5.0, 9.0]


@pytest.mark.parametrize("epoch", [2])
def test_a_run_killed_between_its_stages_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    monkeypatch.setattr("pipeline.base.state.SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr("pipeline.base.state.LARGEST_SHARE", float("inf"))
    whole = trained(tmp_path / "whole.pt")
    resumed = trained(tmp_path / "killed.pt", kill_after=epoch)
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.best[name], value) for name, value in whole.best.items())


class TwoPlayers(TwoStages):
    """Two layers that take turns, each after a forward of its own."""

    limits = Limits(epochs=1, patience=1)
    rounds = (("first",), ("second",))

    def enter(self, stage: str) -> dict[str, Sequence[Player]]:
        self.entered.append("teacher")
        first, second = (list(part.parameters()) for part in self.model)
        return {"first": [Player(first)], "second": [Player(second, learning_rate=0.0)]}


def test_players_have_rates_and_clipping_of_their_own(tmp_path: Path) -> None:
    learner = TwoPlayers()
    before = learner.weights()
    *_, state = Run(learner).go(StateFile(tmp_path / "run.pt", RunState))
    after = learner.weights()
    assert not torch.equal(before["0.weight"], after["0.weight"])
    assert torch.equal(before["1.weight"], after["1.weight"]), "its share of the rate is 0"
    assert {"gradient_norm_first", "gradient_norm_second"} <= state.history[0].keys()


def test_figures_of_a_step_are_recorded_and_not_learnt_from(tmp_path: Path) -> None:
    *_, state = Run(TwoStages()).go(StateFile(tmp_path / "run.pt", RunState))
    assert state.history[0]["steps"] == 1.5, "the mean over two steps"
    assert all(row["train_total"] == row["train_size"] for row in state.history)
