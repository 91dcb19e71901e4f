"""What a system chooses by validation after each epoch: from what, when, and how it is kept."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.base import state as keeping
from pipeline.base.state import StateFile
from pipeline.nn.batch import DialogueBatch
from pipeline.systems.base import Output
from pipeline.systems.bc_lstm import BcLstm
from pipeline.training.fit import Run, RunState
from pipeline.training.learner import DialogueLearner
from tests.systems.zoo import VALID, fold_of

NAME = "bc_lstm"
Seen = list[list[tuple[Output, DialogueBatch]]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What a system is given after each epoch."""
    calls: Seen = []

    def after_epoch(self: BcLstm, valid: Iterable[tuple[Output, DialogueBatch]]) -> None:
        calls.append(list(valid))
        assert not self.training

    monkeypatch.setattr(BcLstm, "after_epoch", after_epoch)
    return calls


def test_it_gets_the_validation_predictions_of_each_epoch(tmp_path: Path, seen: Seen) -> None:
    fold = fold_of(NAME, dropout=0.3)
    *_, state = Run(DialogueLearner(fold, 1)).go(StateFile(tmp_path / "run.pt", RunState))
    assert len(seen) == len(state.history) == 3
    lengths = [len(dialogue) for dialogue in VALID]
    assert lengths == [5, 3]
    for batches, predicted in zip(seen, state.valid, strict=True):
        (output, batch), *others = batches
        assert not others
        shorter, longer = output.logits.softmax(-1)  # they come by length
        torch.testing.assert_close(torch.cat((longer, shorter[:3])), predicted)
        assert torch.equal(batch.labels[1], VALID[0].labels)
        assert torch.equal(batch.labels[0, :3], VALID[1].labels)


def test_what_is_not_read_costs_no_forward_and_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights(name: str) -> dict[str, Tensor]:
        learner = DialogueLearner(fold_of(NAME, dropout=0.3), 1)
        *_, state = Run(learner).go(StateFile(tmp_path / name, RunState))
        return state.best

    passes = []
    forward = BcLstm.forward
    monkeypatch.setattr(BcLstm, "forward", lambda s, b: passes.append(1) or forward(s, b))
    unread, count = weights("unread.pt"), len(passes)
    monkeypatch.setattr(BcLstm, "after_epoch", lambda _, valid: list(valid))
    read = weights("read.pt")
    assert len(passes) == 2 * count + 3, "a batch of validation more in each of three epochs"
    assert all(torch.equal(read[name], value) for name, value in unread.items())


def test_what_was_chosen_is_kept_with_the_epoch_and_by_a_resumed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(keeping, "LARGEST_SHARE", 1e9)

    def counted(self: BcLstm, valid: Iterable[tuple[Output, DialogueBatch]]) -> None:
        self.inputs.encoders["text"].standardise.mean.add_(1)  # a buffer, as good as any

    monkeypatch.setattr(BcLstm, "after_epoch", counted)
    fold, file = fold_of(NAME, epochs=3, patience=3), StateFile(tmp_path / "run.pt", RunState)
    place = "inputs.encoders.text.standardise.mean"
    start = DialogueLearner(fold, 1).weights()[place]
    for epoch in (1, 2, 3):
        learner = DialogueLearner(fold, 1)  # as a new process does
        run = Run(learner).go(file)
        state = next(run)
        run.close()
        torch.testing.assert_close(learner.weights()[place], start + epoch)
    torch.testing.assert_close(state.best[place], start + state.best_epoch)
