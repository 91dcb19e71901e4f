"""The state of a run: what it has found so far."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from pipeline.settings.train import TrainSettings


@dataclass
class RunState:
    """What a run has found so far.

    Attributes:
        history: One row of numbers per epoch.
        valid: Per epoch, [utterance, class] probabilities on validation.
        test: Likewise on test.
        best_epoch: From 1; the first with the highest validation weighted F1.
        best: The model's state at that epoch, on the CPU.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    valid: list[Tensor] = field(default_factory=list)
    test: list[Tensor] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def add(self, row: dict[str, float], valid: Tensor, test: Tensor, model: nn.Module) -> None:
        """Takes an epoch's results, and the model's weights if it is the best so far."""
        best = self.history[self.best_epoch - 1]["valid_weighted_f1"] if self.best_epoch else -1.0
        self.history.append(row)
        self.valid.append(valid)
        self.test.append(test)
        if row["valid_weighted_f1"] > best:
            self.best_epoch = len(self.history)
            self.best = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}

    @property
    def scores(self) -> list[float]:
        """Validation weighted F1 by epoch."""
        return [row["valid_weighted_f1"] for row in self.history]

    def finished(self, settings: TrainSettings) -> bool:
        """Whether all epochs are done, or too many passed without a better one."""
        epochs = len(self.history)
        return epochs >= settings.epochs or epochs - self.best_epoch >= settings.patience
