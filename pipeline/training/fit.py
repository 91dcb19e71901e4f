"""One training run: epochs, early stopping on validation, resuming after a kill.

Every epoch starts from a random state of its own, made of seed and epoch number. So a run that
was killed and resumes from a saved epoch ends in the same bytes as one that was not.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pipeline.base.state import StateFile
from pipeline.nn.batch import DialogueBatch
from pipeline.systems.loss import Loss, LossTerms
from pipeline.systems.mcn_cl import MCNCL
from pipeline.training.batches import draw, learning_rate, length_buckets
from pipeline.training.data import Dialogue, Fold, mean_and_std
from pipeline.training.inference import autocast, lower_precision, probabilities
from pipeline.training.scores import class_weights, cross_entropy, refuse_divergence, weighted_f1
from pipeline.training.settings import TrainSettings

LARGEST_SEED = 2**31


@dataclass
class RunState:
    """The results of a run so far.

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
        """Take in an epoch's results, and the model's weights if it is the best so far."""
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


def build(fold: Fold, seed: int) -> MCNCL:
    """The untrained model, with the train split's statistics."""
    torch.manual_seed(seed)
    arguments = fold.settings.model.model_dump(exclude={"modalities"})
    model = MCNCL(dimensions=fold.dimensions, classes=fold.classes, **arguments)
    for modality in fold.dimensions:
        model.standardise(modality, *mean_and_std(fold.train, modality))
    return model.to(fold.settings.compute.device)


class Run:
    """The training of one seed on one fold.

    Args:
        fold: Data and settings.
        seed: Of initialisation, batches and dropout.
    """

    def __init__(self, fold: Fold, seed: int) -> None:
        self.fold, self.seed = fold, seed
        self.settings, compute = fold.settings.train, fold.settings.compute
        self.model = build(fold, seed)
        self.device = torch.device(compute.device)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=self.device.type != "mps",
        )
        self.precision = lower_precision(self.device.type, compute.precision)
        self.scaler = torch.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.loss = _loss(fold)
        self.steps = math.ceil(len(fold.train) / self.settings.batch_size)

    def epochs(self, file: StateFile[RunState]) -> Iterator[RunState]:
        """Train until the validation weighted F1 no longer rises.

        Args:
            file: Where the run is kept while it lasts, and after it has ended.

        Yields:
            The run so far, once per epoch that an earlier process has not done; last of all
            finished, with history, every epoch's probabilities and the best epoch's weights.

        Raises:
            PipelineError: The loss of an epoch is NaN or infinite.
        """
        with file.alone():
            state = file.load(self.model, self.optimiser, self.scaler) or RunState()
            while not state.finished(self.settings):
                self._epoch(state)
                if state.finished(self.settings):
                    file.finish(state)
                else:
                    file.save(state, self.model, self.optimiser, self.scaler)
                yield state

    def _epoch(self, state: RunState) -> None:
        epoch = len(state.history) + 1
        torch.manual_seed(self._epoch_seed(epoch))
        row = {"epoch": float(epoch), **self._fit(epoch, state.scores)}
        refuse_divergence(row["train_total"], epoch, "train")
        valid, test = (self.predict(d) for d in (self.fold.valid, self.fold.test))
        labels = torch.cat([d.labels for d in self.fold.valid])
        row["valid_cross_entropy"] = cross_entropy(valid, labels)
        row["valid_weighted_f1"] = weighted_f1(valid, labels)
        state.add(row, valid, test, self.model)

    def _fit(self, epoch: int, scores: Sequence[float]) -> dict[str, float]:
        """Pass once over the train split; return the means of its losses, and its weighted F1."""
        self.model.train()
        generator = torch.Generator().manual_seed(self._epoch_seed(epoch))
        fold, settings = self.fold, self.settings
        drawn = draw(fold.train, settings.sampling, fold.classes, generator)
        lengths = [len(fold.train[n]) for n in drawn]
        rows, logits, labels = [], [], []
        for number, places in enumerate(length_buckets(lengths, settings.batch_size, generator)):
            step = (epoch - 1) * self.steps + number
            rate = self._set_rate(learning_rate(settings, step, self.steps, scores))
            batch = fold.batch([drawn[place] for place in places])
            outputs, values = self._step(batch)
            rows.append(values)
            logits.append(outputs[batch.turn_mask])
            labels.append(batch.labels[batch.turn_mask])
        return {
            **{name: torch.stack([row[name] for row in rows]).mean().item() for name in rows[0]},
            "learning_rate": rate,
            "train_weighted_f1": weighted_f1(torch.cat(logits).cpu(), torch.cat(labels).cpu()),
        }

    def _step(self, batch: DialogueBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Learn from a batch; return its logits, and numbers that stay on the device."""
        with autocast(self.device, self.precision):
            output = self.model(batch)
            terms = self.loss(output, batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(terms.total).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
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
        batch_size = self.settings.batch_size
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


def _loss(fold: Fold) -> Loss:
    settings = fold.settings.loss
    return Loss(
        temperature=settings.temperature,
        hard_ratio=settings.hard_ratio,
        denominator=settings.denominator,
        contrastive_weight=settings.contrastive,
        modality_weights=settings.modality_weights,
        class_weights=class_weights(
            [d.labels for d in fold.train], fold.classes, settings.class_weights
        ),
        label_smoothing=settings.label_smoothing,
        focal=settings.focal,
    )
