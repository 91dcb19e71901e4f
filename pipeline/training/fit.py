"""One training run: epochs, early stopping on validation, resuming after a kill.

Every epoch starts from a random state of its own, made of seed and epoch number. So a run that
was killed and goes on from a saved epoch ends in the same bytes as one that was not.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from pipeline.nn.batch import DialogueBatch
from pipeline.systems.loss import Loss, LossTerms
from pipeline.systems.mcn_cl import MCNCL
from pipeline.training.batches import draw, learning_rate, length_buckets
from pipeline.training.data import Dialogue, Task, mean_and_std
from pipeline.training.inference import autocast, lower_precision, probabilities
from pipeline.training.resume import RunState, StateFile
from pipeline.training.scores import cross_entropy, refuse_divergence, weighted_f1
from pipeline.training.statistics import class_weights

LARGEST_SEED = 2**31


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
        self.precision = lower_precision(self.device.type, task.compute.precision)
        self.scaler = torch.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.loss = _loss(task)
        self.steps = math.ceil(len(task.train) / task.optimisation.batch_size)

    def epochs(self, file: StateFile[RunState]) -> Iterator[RunState]:
        """Trains until the validation weighted F1 no longer rises.

        Args:
            file: Where the run is kept while it lasts, and when it has ended.

        Yields:
            The run so far, once per epoch, those of a run that goes on at once; last of all
            finished, with history, every epoch's probabilities and the best epoch's weights.

        Raises:
            PipelineError: The loss of an epoch is no number.
        """
        state = file.load(self.model, self.optimiser, self.scaler) or RunState()
        yield from [state] * len(state.history)
        while not state.finished(self.task.optimisation):
            self._epoch(state)
            done = state.finished(self.task.optimisation)
            file.save(state, self.model, self.optimiser, self.scaler, now=done)
            yield state

    def _epoch(self, state: RunState) -> None:
        epoch = len(state.history) + 1
        torch.manual_seed(self._epoch_seed(epoch))
        row = {"epoch": float(epoch), **self._fit(epoch, state.scores)}
        refuse_divergence(row["train_total"], epoch, "train")
        valid, test = (self.predict(d) for d in (self.task.valid, self.task.test))
        labels = torch.cat([d.labels for d in self.task.valid])
        row["valid_cross_entropy"] = cross_entropy(valid, labels)
        row["valid_weighted_f1"] = weighted_f1(valid, labels)
        state.add(row, valid, test, self.model)

    def _fit(self, epoch: int, scores: Sequence[float]) -> dict[str, float]:
        """One pass over the train split; returns the means of its losses, and what it predicted."""
        self.model.train()
        generator = torch.Generator().manual_seed(self._epoch_seed(epoch))
        settings = self.task.optimisation
        drawn = draw(self.task.train, settings.sampling, self.task.classes, generator)
        lengths = [len(self.task.train[n]) for n in drawn]
        rows, logits, labels = [], [], []
        for number, places in enumerate(length_buckets(lengths, settings.batch_size, generator)):
            step = (epoch - 1) * self.steps + number
            rate = self._set_rate(learning_rate(settings, step, self.steps, scores))
            batch = self.task.load(self.task.train, [drawn[place] for place in places])
            found, values = self._step(batch)
            rows.append(values)
            logits.append(found[batch.turn_mask])
            labels.append(batch.labels[batch.turn_mask])
        return {
            **{name: torch.stack([row[name] for row in rows]).mean().item() for name in rows[0]},
            "learning_rate": rate,
            "train_weighted_f1": weighted_f1(torch.cat(logits).cpu(), torch.cat(labels).cpu()),
        }

    def _step(self, batch: DialogueBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learns from a batch; returns its logits, and numbers that stay on the device."""
        with autocast(self.device, self.precision):
            output = self.model(batch)
            terms = self.loss(output, batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(terms.total).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        clip = self.task.optimisation.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return output.logits.detach(), {**_named(terms), "gradient_norm": norm}

    def _epoch_seed(self, epoch: int) -> int:
        return (self.seed * 100_003 + epoch) % LARGEST_SEED

    def _set_rate(self, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def predict(self, dialogues: Sequence[Dialogue]) -> Tensor:
        """Class probabilities, [utterance, class] float32, utterances in dialogue order."""
        batch_size = self.task.optimisation.batch_size
        return torch.cat(probabilities(self.model, dialogues, batch_size, self.precision))


def _named(terms: LossTerms) -> dict[str, Tensor]:
    """The terms as columns of the history."""
    each = {f"train_contrastive_{m}": loss.detach() for m, loss in terms.per_modality.items()}
    return {
        "train_total": terms.total.detach(),
        "train_cross_entropy": terms.cross_entropy.detach(),
        "train_contrastive": terms.contrastive.detach(),
        **each,
    }


def _loss(task: Task) -> Loss:
    settings = task.loss
    return Loss(
        temperature=settings.temperature,
        hard_ratio=settings.hard_ratio,
        denominator=settings.denominator,
        contrastive_weight=settings.contrastive,
        modality_weights=settings.modality_weights,
        class_weights=class_weights(
            [d.labels for d in task.train], task.classes, settings.class_weights
        ),
        label_smoothing=settings.label_smoothing,
        focal=settings.focal,
    )
