"""One run of fine-tuning: steps, early stopping on validation, resuming after a kill.

Every epoch's order and every step's dropout are seeded by seed, epoch and step. So on a CPU a run
that was killed and resumed from a saved step ends in the same bytes as one that was not.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pipeline.base.state import StateFile
from pipeline.features.text.turns import Turn
from pipeline.finetuning.ema import RunningMean
from pipeline.finetuning.examples import PaddedTurns, batches, draw
from pipeline.finetuning.network import TunedEncoder
from pipeline.finetuning.objective import NO_SENTIMENT, Objective, Targets
from pipeline.finetuning.rates import parameter_groups, rate_factor
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.finetuning.task import Task
from pipeline.training.scores import (
    class_weights,
    cross_entropy,
    refuse_divergence,
    weighted_f1,
)

LARGEST_SEED = 2**31


@dataclass
class TuningState:
    """Progress and best weights of one run.

    Attributes:
        step: Number of steps done.
        sums: Sum of each loss term over the steps of the current epoch, scalars.
        history: One row of numbers per epoch.
        best_epoch: From 1; the first with the highest validation weighted F1, or the last one
            without validation.
        best: The learned parameters after that epoch, on the CPU, by name.
        valid: [utterance, class] probabilities on validation after that epoch.
    """

    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    valid: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    def improves(self, row: dict[str, float]) -> bool:
        """Whether an epoch is better than all before it."""
        if not self.best_epoch or "valid_weighted_f1" not in row:
            return True
        return row["valid_weighted_f1"] > self.history[self.best_epoch - 1]["valid_weighted_f1"]

    def finished(self, epochs: int, settings: FinetuneSettings) -> bool:
        """Whether all epochs are done, or too many passed without a better one."""
        done = len(self.history)
        return done >= epochs or done - self.best_epoch >= settings.patience


class Run:
    """The fine-tuning of one encoder.

    Attributes:
        encoder: The encoder that learns.
        state: Progress so far.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._settings = task, task.settings
        self.state, self.encoder = TuningState(), TunedEncoder(task)
        self._device = torch.device(task.compute.device)
        self._mean = RunningMean(self.encoder.learning, task.settings.ema)
        self._optimiser = torch.optim.AdamW(
            parameter_groups(self.encoder.model, task.settings),
            lr=0.0,
            fused=self._device.type != "mps",
        )
        half = self.encoder.low_precision == torch.float16
        self._scaler = torch.GradScaler(self._device.type, enabled=half)
        self._train = self.encoder.read([e.turn for e in task.train])
        self._valid = self.encoder.read([e.turn for e in task.valid])
        self._labels = torch.tensor([e.label for e in task.train])
        self._targets = Targets(self._labels, _sentiments(task)).to(self._device)
        weights = class_weights([self._labels], task.classes, task.settings.class_weights)
        self._objective = Objective(
            task.settings, None if weights is None else weights.to(self._device)
        )
        self.steps_per_epoch = math.ceil(len(task.train) / task.settings.batch_size)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state.finished(self._task.epochs, self._settings)

    def steps(self, file: StateFile[TuningState] | None = None) -> Iterator[None]:
        """Train until the validation weighted F1 no longer rises.

        Args:
            file: Where to save the state during and after the run; None for nowhere.

        Yields:
            Once per step that an earlier process has not done.
        """
        parts = (self.encoder.model, self._optimiser, self._scaler, self._mean)
        if file is not None:
            self.state = file.load(*parts) or self.state
        while not self.finished:
            epoch, done = divmod(self.state.step, self.steps_per_epoch)
            for places in self._batches(epoch)[done:]:
                self._step(places)
                if self.state.step % self.steps_per_epoch == 0:
                    self._end_epoch()
                if file is not None and self.finished:
                    file.finish(self.state)
                elif file is not None:
                    file.save(self.state, *parts)
                yield

    def predict(self, turns: Sequence[Turn]) -> Tensor:
        """Predict [turn, class] probabilities with the current weights or their running mean."""
        return self._predict(self.encoder.read(turns))

    def _batches(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self._seed(2 * epoch))
        drawn = draw(self._labels, self._settings.sampling, generator)
        return batches(drawn, self._train.lengths, self._settings.batch_size, generator)

    def _step(self, places: Sequence[int]) -> None:
        """Update the weights on a batch."""
        torch.manual_seed(self._seed(2 * self.state.step + 1))
        self.encoder.model.train()
        self._set_rates()
        whole = self._targets.rows(places)
        at_once = math.ceil(len(places) / self._settings.accumulation)
        for start in range(0, len(places), at_once):
            self._learn(places[start : start + at_once], whole)
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(list(self.encoder.learning.values()), self._settings.gradient_clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad(set_to_none=True)
        self._mean.update()
        self.state.step += 1

    def _learn(self, places: Sequence[int], whole: Targets) -> None:
        """Add the gradient of a part of a batch."""
        with self.encoder.autocast():
            output = self.encoder.model(self._train.batch(places))
        terms = self._objective.terms(output, self._targets.rows(places), whole)
        self._scaler.scale(terms["total"]).backward()  # type: ignore[no-untyped-call]
        sums = self.state.sums
        for name, value in terms.items():
            before = sums.get(name, torch.zeros(())).to(self._device)
            sums[name] = before + value.detach()

    def _set_rates(self) -> None:
        steps = self._settings.epochs * self.steps_per_epoch
        factor = rate_factor(self.state.step, steps, self._settings.warmup)
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * factor

    def _end_epoch(self) -> None:
        """Score the epoch, and keep its weights if it is the best so far.

        Raises:
            PipelineError: Its loss is NaN or infinite.
        """
        state, steps = self.state, self.steps_per_epoch
        row = {"epoch": float(len(state.history) + 1)}
        row |= {f"train_{name}": value.item() / steps for name, value in state.sums.items()}
        refuse_divergence(row["train_total"], len(state.history) + 1, "finetune")
        probabilities = self._predict(self._valid)
        if self._task.valid:
            labels = torch.tensor([e.label for e in self._task.valid])
            row["valid_cross_entropy"] = cross_entropy(probabilities, labels)
            refuse_divergence(row["valid_cross_entropy"], len(state.history) + 1, "finetune")
            row["valid_weighted_f1"] = weighted_f1(probabilities, labels)
        if state.improves(row):
            state.best_epoch, state.valid = len(state.history) + 1, probabilities
            with self._mean.in_place():
                state.best = self.encoder.weights()
        state.history.append(row)
        state.sums = {}

    def _predict(self, turns: PaddedTurns) -> Tensor:
        with self._mean.in_place():
            return self.encoder.probabilities(self.encoder.vectors(turns))

    def _seed(self, number: int) -> int:
        return (self._settings.seed * 1_000_003 + number) % LARGEST_SEED


def _sentiments(task: Task) -> Tensor:
    """[utterance] numbers of the train split's sentiments."""
    number = {code: n for n, code in enumerate(task.sentiments)}
    return torch.tensor([number.get(e.sentiment or "", NO_SENTIMENT) for e in task.train])
