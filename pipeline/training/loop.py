"""One training run: epochs, early stopping on validation, resuming after a kill.

Every epoch starts from a random state of its own, made of seed and epoch number. So a run that
was killed and goes on from a saved epoch ends in the same bytes as one that was not.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

from pipeline.dataset import NO_LABEL, Dialogue, length_buckets
from pipeline.model.loss import Loss
from pipeline.model.mcn_cl import MCNCL
from pipeline.training.state import RunState, StateFile
from pipeline.training.statistics import class_weights, mean_and_std
from pipeline.training.task import Task

LARGEST_SEED = 2**31
TERMS = ("total", "cross_entropy", "contrastive")


def build(task: Task, seed: int) -> MCNCL:
    """The untrained model, with the train split's statistics."""
    torch.manual_seed(seed)
    arguments = task.model.model_dump(exclude={"modalities"})
    model = MCNCL(dimensions=task.dimensions, classes=task.classes, **arguments)
    for modality in task.dimensions:
        model.standardise(modality, *mean_and_std(task.train, modality))
    return model.to(task.compute.device)


class Run:
    """The training of one seed.

    Args:
        task: Data and settings.
        seed: Of initialisation, batches and dropout.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.seed = task, seed
        self.model = build(task, seed)
        self.device = torch.device(task.compute.device)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=task.optimisation.learning_rate,
            weight_decay=task.optimisation.weight_decay,
            fused=self.device.type != "mps",
        )
        precision = task.compute.precision if self.device.type == "cuda" else "float32"
        self.low_precision = None if precision == "float32" else getattr(torch, precision)
        self.scaler = torch.GradScaler(self.device.type, enabled=precision == "float16")
        self.loss = _loss(task)
        self.steps = math.ceil(len(task.train) / task.optimisation.batch_size)

    def train(self, file: StateFile) -> RunState:
        """Trains until the validation weighted F1 no longer rises.

        Args:
            file: Where the run is kept while it lasts.

        Returns:
            The finished run: history, every epoch's probabilities and the best epoch's weights.
        """
        state = file.load(self.model, self.optimiser, self.scaler) or RunState()
        while not state.finished(self.task.optimisation):
            self._epoch(state)
            file.save(state, self.model, self.optimiser, self.scaler)
        file.save(state, self.model, self.optimiser, self.scaler, now=True)
        return state

    def _epoch(self, state: RunState) -> None:
        epoch = len(state.history) + 1
        torch.manual_seed((self.seed * 100_003 + epoch) % LARGEST_SEED)
        row = {"epoch": float(epoch), **self._fit(epoch)}
        valid, test = (self.predict(d) for d in (self.task.valid, self.task.test))
        row["valid_weighted_f1"] = weighted_f1(valid, self.task.valid)
        state.add(row, valid, test, self.model)

    def _fit(self, epoch: int) -> dict[str, float]:
        """One pass over the train split; returns the means of its losses."""
        self.model.train()
        sums = dict.fromkeys([*(f"train_{t}" for t in TERMS), "gradient_norm"], 0.0)
        order = torch.Generator().manual_seed((self.seed * 100_003 + epoch) % LARGEST_SEED)
        lengths = [len(d) for d in self.task.train]
        batches = length_buckets(lengths, self.task.optimisation.batch_size, order)
        for number, batch in enumerate(batches):
            rate = self._set_rate((epoch - 1) * self.steps + number)
            for name, value in self._step(batch).items():
                sums[name] += value / len(batches)
        return {**sums, "learning_rate": rate}

    def _step(self, numbers: Sequence[int]) -> dict[str, float]:
        batch = self.task.load(self.task.train, numbers)
        with self._autocast():
            terms = self.loss(self.model(batch), batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(terms.total).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        clip = self.task.optimisation.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        values = {f"train_{t}": getattr(terms, t).item() for t in TERMS}
        return {**values, "gradient_norm": norm.item()}

    def _set_rate(self, step: int) -> float:
        settings = self.task.optimisation
        rate = settings.learning_rate * _schedule(
            step, self.steps * settings.epochs, settings.warmup, settings.schedule
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _autocast(self) -> AbstractContextManager[object]:
        if self.low_precision is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.low_precision)

    @torch.inference_mode()
    def predict(self, dialogues: Sequence[Dialogue]) -> Tensor:
        """Class probabilities, [utterance, class] float32, utterances in dialogue order."""
        self.model.eval()
        parts: dict[int, Tensor] = {}
        for numbers in self.task.batches(dialogues):
            with self._autocast():
                logits = self.model(self.task.load(dialogues, numbers)).logits
            for row, number in enumerate(numbers):
                turns = logits[row, : len(dialogues[number])]
                parts[number] = turns.float().softmax(-1).cpu()
        return torch.cat([parts[number] for number in range(len(dialogues))])


def _loss(task: Task) -> Loss:
    settings = task.loss
    return Loss(
        temperature=settings.temperature,
        hard_ratio=settings.hard_ratio,
        denominator=settings.denominator,
        contrastive_weight=settings.contrastive,
        modality_weights=settings.modality_weights,
        class_weights=class_weights(task.train, task.classes, settings.class_weights),
        label_smoothing=settings.label_smoothing,
    )


def _schedule(step: int, steps: int, warmup: float, schedule: str) -> float:
    """Share of the full learning rate at a step: a linear rise, then level or a half cosine."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def weighted_f1(probabilities: Tensor, dialogues: Sequence[Dialogue]) -> float:
    """Weighted F1 over labelled utterances, in percent.

    Args:
        probabilities: [utterance, class], in dialogue order.
        dialogues: Where the labels are.
    """
    labels = torch.cat([d.labels for d in dialogues])
    known = labels != NO_LABEL
    predicted = probabilities.argmax(-1)[known]
    score = f1_score(labels[known], predicted, average="weighted", zero_division=0)
    return 100 * float(score)
