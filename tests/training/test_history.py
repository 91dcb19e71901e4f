"""The rows of history.csv: what a game's two rounds, and batches without rows, give to them."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.base.state import StateFile
from pipeline.nn.batch import collate
from pipeline.training.fit import Run, RunState
from pipeline.training.learner import DialogueLearner
from tests.systems.zoo import TRAIN, fold_of, reduced


def ended(learner, path):
    *_, state = Run(learner).go(StateFile(path, RunState))
    return state


@pytest.mark.parametrize("game", ["simultaneous", "alternate"])
def test_each_turn_counts_once_in_the_f1_of_training(game, tmp_path):
    learner = DialogueLearner(fold_of("mcihn", game=game, epochs=2, accumulation=2), seed=1)
    ended(learner, tmp_path / "run.pt")
    assert sum(len(d) for d in TRAIN) == sum(len(labels) for _, labels in learner.seen) == 20


def without_audio(dialogue):
    return replace(
        dialogue,
        present={**dialogue.present, "audio": torch.zeros(len(dialogue), dtype=torch.bool)},
    )


def test_a_figure_is_a_mean_over_the_batches_that_had_something_to_measure(tmp_path):
    some = [TRAIN[0], *map(without_audio, TRAIN[1:])]
    for batch_size, accumulation in ((1, 1), (4, 4)):
        sizes = {"batch_size": batch_size, "accumulation": accumulation, "learning_rate": 1e-12}
        fold = fold_of("mcihn", train=some, epochs=1, **sizes)
        learner = DialogueLearner(fold, seed=1)
        batch, made = collate(reduced(some[:1], fold.settings)), learner.model.train()
        expected = made.figures(made(batch), batch)
        state = ended(learner, tmp_path / f"{batch_size}.pt")
        for name in ("code_mean_audio", "code_deviation_audio"):
            got = state.history[0][name]
            assert got == pytest.approx(expected[name].item(), rel=1e-4), name


def test_a_figure_that_no_batch_could_measure_is_nan_and_training_goes_on(tmp_path):
    fold = fold_of("mcihn", train=[without_audio(d) for d in TRAIN], epochs=2)
    state = ended(DialogueLearner(fold, seed=1), tmp_path / "run.pt")
    for row in state.history:
        nan = {name for name, value in row.items() if math.isnan(value)}
        figures = ("code_mean", "code_deviation", "discriminator_accuracy")
        assert nan == {f"{figure}_audio" for figure in figures}
