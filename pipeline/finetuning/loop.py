"""One run of fine-tuning: steps, early stopping on validation, resuming after a kill.

Every epoch's order and every step's dropout are seeded by seed, epoch and step. So on a CPU a run
that was killed and resumed from a saved step ends in the same bytes as one that was not.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.base.state import StateFile
from pipeline.finetuning.examples import Task, batches, draw
from pipeline.finetuning.network import TunedEncoder, parameter_groups
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.nn.contrastive import precise
from pipeline.training.scores import (
    class_weights,
    cross_entropy,
    refuse_divergence,
    weighted_f1,
)

LARGEST_SEED = 2**31


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Factor of the peak learning rate: a linear rise, then a linear fall.

    Args:
        step: From 0.
        steps: Number of steps of all epochs.
        warmup: Share of the steps in which it rises.
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising)


@dataclass
class TuningState:
    """Progress and best weights of one run.

    Attributes:
        step: Number of steps done.
        loss: Its sum over the steps of the current epoch, a scalar.
        history: One row of numbers per epoch.
        best_epoch: From 1; the first with the highest validation weighted F1.
        best: The learned parameters after that epoch, on the CPU, by name.
        valid: [utterance, class] probabilities on validation after that epoch.
    """

    step: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    valid: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    def improves(self, row: dict[str, float]) -> bool:
        """Whether an epoch is better than all before it."""
        best = self.history[self.best_epoch - 1]["valid_weighted_f1"] if self.best_epoch else -1.0
        return row["valid_weighted_f1"] > best

    def finished(self, settings: FinetuneSettings) -> bool:
        """Whether all epochs are done, or too many passed without a better one."""
        done = len(self.history)
        return done >= settings.epochs or done - self.best_epoch >= settings.patience


class Run:
    """The fine-tuning of one encoder.

    Attributes:
        encoder: The encoder that learns.
        state: Progress so far.
    """

    def __init__(self, task: Task) -> None:
        self._settings = task.settings
        self.state, self.encoder = TuningState(), TunedEncoder(task)
        self._device = torch.device(task.compute.device)
        self._optimiser = torch.optim.AdamW(
            parameter_groups(self.encoder.model, task.settings),
            lr=0.0,
            fused=self._device.type != "mps",
        )
        half = self.encoder.low_precision == torch.float16
        self._scaler = torch.GradScaler(self._device.type, enabled=half)
        examples = task.examples
        self._train = self.encoder.read([e.turn for e in examples.train])
        self._valid = self.encoder.read([e.turn for e in examples.valid])
        self._labels, self._valid_labels = (
            torch.tensor([e.label for e in some]) for some in (examples.train, examples.valid)
        )
        rule, classes = task.settings.class_weights, len(examples.classes)
        weights = class_weights([self._labels], classes, rule)
        self._class_weights = torch.ones(classes) if weights is None else weights
        self.steps_per_epoch = math.ceil(len(examples.train) / task.settings.batch_size)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state.finished(self._settings)

    def steps(self, file: StateFile[TuningState] | None = None) -> Iterator[None]:
        """Train until the validation weighted F1 no longer rises.

        Args:
            file: Where to save the state during and after the run; None for nowhere.

        Yields:
            Once per step that an earlier process has not done.
        """
        parts = (self.encoder.model, self._optimiser, self._scaler)
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

    def _batches(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self._seed(2 * epoch))
        drawn = draw(self._labels, self._settings.sampling, generator)
        return batches(drawn, self._train.lengths, self._settings.batch_size, generator)

    def _step(self, places: Sequence[int]) -> None:
        """Update the weights on a batch."""
        torch.manual_seed(self._seed(2 * self.state.step + 1))
        self.encoder.model.train()
        self._set_rates()
        whole = self._class_weights[self._labels[places]].sum()
        at_once = math.ceil(len(places) / self._settings.accumulation)
        for start in range(0, len(places), at_once):
            self._learn(places[start : start + at_once], whole)
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(list(self.encoder.learning.values()), self._settings.gradient_clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad(set_to_none=True)
        self.state.step += 1

    def _learn(self, places: Sequence[int], whole: Tensor) -> None:
        """Add the gradient of a part of a batch, whose class weights add up to `whole`."""
        with self.encoder.autocast():
            logits = self.encoder.model(self._train.batch(places))
        loss = functional.cross_entropy(
            precise(logits),
            self._labels[places].to(self._device),
            self._class_weights.to(self._device),
            reduction="sum",
            label_smoothing=self._settings.label_smoothing,
        )
        loss = loss / whole.to(self._device)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.state.loss = self.state.loss.to(self._device) + loss.detach()

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
        state, epoch = self.state, len(self.state.history) + 1
        loss = state.loss.item() / self.steps_per_epoch
        row = {"epoch": float(epoch), "train_total": loss, "train_cross_entropy": loss}
        refuse_divergence(loss, epoch, "finetune")
        probabilities = self.encoder.probabilities(self._valid)
        row["valid_cross_entropy"] = cross_entropy(probabilities, self._valid_labels)
        refuse_divergence(row["valid_cross_entropy"], epoch, "finetune")
        row["valid_weighted_f1"] = weighted_f1(probabilities, self._valid_labels)
        if state.improves(row):
            state.best_epoch, state.valid = epoch, probabilities
            state.best = self.encoder.weights()
        state.history.append(row)
        state.loss = torch.zeros(())

    def _seed(self, number: int) -> int:
        return (self._settings.seed * 1_000_003 + number) % LARGEST_SEED
