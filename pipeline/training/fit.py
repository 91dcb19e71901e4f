"""The one training loop: steps, epochs, stages, early stopping on validation, resuming.

A `Learner` says what is learnt and from what; dialogue systems and the text encoder each have one.
Random numbers start anew, by seed and place in the run, after everything that is kept. So on a CPU
a run that was killed and resumes ends in the same bytes as one that was not.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.base.state import StateFile
from pipeline.nn.optimise import Player, autocast, lower_precision
from pipeline.training.scores import refuse_divergence

LARGEST_SEED = 2**31
VALID_F1 = "valid_weighted_f1"
LEARNT = ("train_", "gradient_norm")  # begin the names of what is never NaN for want of rows


@dataclass
class RunState:
    """The results of a run so far."""

    history: list[dict[str, float]] = field(default_factory=list)
    """One row of numbers per epoch."""

    valid: list[Tensor] = field(default_factory=list)
    """Per epoch, [utterance, class] probabilities on validation."""

    test: list[Tensor] = field(default_factory=list)
    """Likewise on test."""

    best_epoch: int = 0
    """From 1; the first of its stage with the highest validation weighted F1; 0: none yet."""

    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights after that epoch, on the CPU."""

    stage: int = 0
    """Number of the stage of training."""

    before: int = 0
    """Epochs of the stages before."""

    terms: list[dict[str, Tensor]] = field(default_factory=list)
    """Loss terms of each step of an epoch that has begun."""

    train_seconds: float = 0.0
    predict_seconds: float = 0.0
    """Both by the clock; no result depends on them."""

    @property
    def scores(self) -> list[float]:
        """Validation weighted F1 of each epoch of this stage."""
        return [row[VALID_F1] for row in self.history[self.before :]]

    def stage_ended(self, epochs: int, patience: int) -> bool:
        """Whether a stage has done its epochs, or too many of them without a better one."""
        done = len(self.history)
        best = max(self.best_epoch, self.before)
        return done - self.before >= epochs or done - best >= patience

    def finished(self, limits: "Limits") -> bool:
        """Whether nothing is left to do."""
        return self.stage == len(limits.stages) - 1 and self.stage_ended(
            limits.epochs, limits.patience
        )


@dataclass(frozen=True)
class Limits:
    """How long a run may go on, in epochs of each stage."""

    epochs: int
    patience: int
    stages: Sequence[str] = ("",)


@dataclass(frozen=True)
class Schedule:
    """What a run does with the gradients."""

    learning_rate: float
    weight_decay: float
    gradient_clip: float
    precision: str
    section: str
    """Of params.yaml, whose learning rate a message names."""


class Learner(Protocol):
    """What a run trains."""

    @property
    def model(self) -> nn.Module:
        """On its device."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""

    @property
    def limits(self) -> Limits:
        """How long it goes on."""

    @property
    def schedule(self) -> Schedule:
        """What is done with the gradients."""

    @property
    def every_step(self) -> bool:
        """Whether each step begins with a seed of its own: the run is then kept after each."""

    @property
    def rounds(self) -> Sequence[Sequence[str]]:
        """See `System.ROUNDS`."""

    def enter(self, stage: str) -> dict[str, Sequence[Player]]:
        """Begin a stage; return the players, each with groups of parameters."""

    def seed(self, epoch: int, step: int) -> int | None:
        """The seed that a step begins with, None to go on; epochs from 1, steps from 0."""

    def batches(self, epoch: int) -> list[list[int]]:
        """Begin an epoch: what each of its steps learns from."""

    def parts(self, places: Sequence[int]) -> Iterator[Any]:
        """A batch, in as many parts as are to go through the network one after another."""

    def losses(self, part: Any) -> dict[str, Tensor]:
        """Weighted terms by name; over the parts they add up to those of the batch."""

    def after_step(self) -> dict[str, Tensor]:
        """Do what follows an optimiser's step; return further numbers of it for the history."""

    def rate(self, step: int, scores: Sequence[float]) -> tuple[float, float]:
        """What the full learning rate is multiplied with, then divided by, at a stage's step."""

    def end(self) -> tuple[dict[str, float], Mapping[str, Tensor]]:
        """Score an epoch: figures for its row, and [utterance, class] probabilities by split."""

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights that are kept of the best epoch, on the CPU."""


class Run:
    """The training of one learner.

    Args:
        learner: What it trains.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner, self.schedule = learner, learner.schedule
        self.device = learner.device
        self.precision = lower_precision(self.device.type, learner.schedule.precision)
        self.scaler = torch.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.optimisers: dict[str, torch.optim.AdamW] = {}

    def go(self, file: StateFile[RunState]) -> Iterator[RunState]:
        """Train until the validation weighted F1 of the last stage no longer rises.

        Args:
            file: Where the run is kept while it lasts, and after it has ended.

        Yields:
            The run so far, after all that is kept of it and that no earlier process has done: an
            epoch, or a step of a learner that begins each with a seed; last of all finished.

        Raises:
            PipelineError: The loss of an epoch is NaN or infinite.
        """
        limits = self.learner.limits
        with file.alone():
            state = file.read() or RunState()
            if state.finished(limits):
                return
            self._enter(state.stage)
            state = file.load(*self._parts()) or state
            while not state.finished(limits):
                if state.stage_ended(limits.epochs, limits.patience):
                    self._next_stage(state)
                for _ in self._epoch(state):
                    if state.finished(limits):
                        file.finish(state)
                    else:
                        file.save(state, *self._parts())
                    yield state

    def _parts(self) -> list[Any]:
        """What has a state of its own."""
        return [self.learner.model, *self.optimisers.values(), self.scaler]

    def _next_stage(self, state: RunState) -> None:
        """Go on from the best weights of the stage that has ended."""
        self.learner.model.load_state_dict(state.best)
        state.stage, state.before, state.best_epoch = state.stage + 1, len(state.history), 0
        self._seed(len(state.history) + 1, 0)  # entering it may draw weights
        self._enter(state.stage)

    def _enter(self, stage: int) -> None:
        players = self.learner.enter(self.learner.limits.stages[stage])
        self.optimisers = {n: self._optimiser(groups) for n, groups in players.items()}

    def _optimiser(self, groups: Sequence[Player]) -> torch.optim.AdamW:
        schedule, share = self.schedule, "share"
        return torch.optim.AdamW(
            [
                {
                    "params": list(group.parameters),
                    share: group.learning_rate,
                    "betas": group.betas,
                    "weight_decay": schedule.weight_decay
                    if group.weight_decay is None
                    else group.weight_decay,
                }
                for group in groups
            ],
            lr=schedule.learning_rate,
            fused=self.device.type != "mps",
        )

    def _epoch(self, state: RunState) -> Iterator[None]:
        """One epoch, or what is left of it; yield after all that is to be kept."""
        start, epoch = time.monotonic(), len(state.history) + 1
        if not state.terms:
            self._seed(epoch, 0)
        batches = self.learner.batches(epoch)
        rate = self.schedule.learning_rate
        for step, places in list(enumerate(batches))[len(state.terms) :]:
            if step:
                self._seed(epoch, step)
            number = (epoch - 1 - state.before) * len(batches) + step
            rate = self._set_rates(*self.learner.rate(number, state.scores))
            state.terms.append(self._step(places))
            if self.learner.every_step and step + 1 < len(batches):
                yield
        state.train_seconds += time.monotonic() - start
        self._end(state, rate)
        yield

    def _seed(self, epoch: int, step: int) -> None:
        if (seed := self.learner.seed(epoch, step)) is not None:
            torch.manual_seed(seed % LARGEST_SEED)

    def _set_rates(self, numerator: float, denominator: float) -> float:
        full = self.schedule.learning_rate
        for group in (g for o in self.optimisers.values() for g in o.param_groups):
            group["lr"] = full * group["share"] * numerator / denominator
        return full * numerator / denominator

    def _step(self, places: Sequence[int]) -> dict[str, Tensor]:
        """Learn from a batch; return numbers that stay on the device."""
        values: dict[str, Tensor] = {}
        for playing in self.learner.rounds or [list(self.optimisers)]:
            values |= self._gradients(places)
            for name in playing:
                norm = self._clip(name)
                several = f"_{name}" * (len(self.optimisers) > 1)
                values[f"gradient_norm{several}"] = norm
                self.scaler.step(self.optimisers[name])
            self.scaler.update()
        return values | self.learner.after_step()

    def _gradients(self, places: Sequence[int]) -> dict[str, Tensor]:
        """Set the gradients of a batch; return its loss and the terms of it."""
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for part in self.learner.parts(places):
            with autocast(self.device, self.precision):
                terms = self.learner.losses(part)
                total = reduce(add, terms.values())
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            for name, value in {"total": total, **terms}.items():
                key, value = f"train_{name}", value.detach()
                sums[key] = sums[key] + value if key in sums else value
        return sums

    def _clip(self, name: str) -> Tensor:
        optimiser = self.optimisers[name]
        self.scaler.unscale_(optimiser)
        own = {p for group in optimiser.param_groups for p in group["params"]}
        # In the model's order, however they are grouped: it enters the last bits of the norm.
        parameters = [p for p in self.learner.model.parameters() if p in own]
        return nn.utils.clip_grad_norm_(parameters, self.schedule.gradient_clip)

    def _end(self, state: RunState, rate: float) -> None:
        """Score the epoch, and keep its weights if it is the best of its stage."""
        epoch, row = len(state.history) + 1, {"epoch": float(len(state.history) + 1)}
        if state.terms:
            names = state.terms[0]
            terms = {
                n: [t[n].to(self.device) for t in state.terms] for n in names
            }  # some were kept
            row |= {n: _mean(n, torch.stack(values)) for n, values in terms.items()}
            row["learning_rate"] = rate
            refuse_divergence(row["train_total"], epoch, self.schedule.section)
        start = time.monotonic()
        scores, probabilities = self.learner.end()
        state.predict_seconds += time.monotonic() - start
        row |= scores
        best = state.history[state.best_epoch - 1][VALID_F1] if state.best_epoch else -1.0
        state.history.append(row)
        state.valid.append(probabilities["valid"])
        state.test.append(probabilities["test"])
        state.terms = []
        if row[VALID_F1] > best:
            state.best_epoch, state.best = epoch, self.learner.weights()


def _mean(name: str, values: Tensor) -> float:
    """Average the steps of an epoch; a figure that is NaN had nothing to measure in its step."""
    return (values.mean() if name.startswith(LEARNT) else values.nanmean()).item()
