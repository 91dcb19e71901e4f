"""What a run of a dialogue system learns from, and how it is scored."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.nn.batch import NO_LABEL, Dialogue, DialogueBatch, collate
from pipeline.nn.entropy import Entropy
from pipeline.nn.optimise import Player, lower_precision
from pipeline.systems.base import Fitted, Output, Settings, System, system
from pipeline.training.batches import draw, length_buckets, rate
from pipeline.training.data import Fold, mean_and_std
from pipeline.training.fit import Limits, Schedule
from pipeline.training.inference import outputs, probabilities
from pipeline.training.scores import class_weights, cross_entropy, weighted_f1

FITTED_BATCH = 32  # dialogues of a system that has no setting of it
Part = tuple[DialogueBatch, float]


def build(fold: Fold, seed: int) -> System:
    """The untrained system, with the train split's statistics."""
    torch.manual_seed(seed)
    model = fold.system(fold.settings, fold.shape)
    for modality, standardise in model.standardised():
        standardise.fit(*mean_and_std(fold.train, modality))
    model.prepare(fold.train)
    return model.to(fold.compute.device)


class DialogueLearner:
    """The training of one seed on one fold: a `Learner`.

    Args:
        fold: Data and settings.
        seed: Of initialisation, batches and dropout.
    """

    every_step = False

    def __init__(self, fold: Fold, seed: int) -> None:
        self.fold, self.number = fold, seed
        self.model = build(fold, seed)
        self.rounds = self.model.ROUNDS
        self.device = torch.device(fold.compute.device)
        self.settings = fold.settings
        self.limits, self.schedule = limits_of(fold.name, fold.settings), _schedule(fold)
        self.precision = lower_precision(self.device.type, fold.compute.precision)
        self.entropy = _entropy(fold)
        self.at_once = getattr(fold.settings, "batch_size", FITTED_BATCH)  # dialogues predicted
        self.seen: list[tuple[Tensor, Tensor]] = []  # logits and labels of an epoch
        self.last: list[
            tuple[Output, DialogueBatch]
        ] = []  # of a batch's parts, in the last of its rounds

    def enter(self, stage: str) -> dict[str, Sequence[Player]]:
        """Begin a stage."""
        self.model.enter(stage)
        if isinstance(self.model, Fitted):
            return {}
        return {name: [player] for name, player in self.model.players().items()}

    def seed(self, epoch: int, step: int) -> int | None:
        """A seed for each epoch."""
        return None if step else self._epoch_seed(epoch)

    def _epoch_seed(self, epoch: int) -> int:
        return (self.number * 100_003 + epoch) % 2**31

    def batches(self, epoch: int) -> list[list[int]]:
        """Numbers of train dialogues; none where the system is fitted at once."""
        self.model.train()
        self.seen = []
        if isinstance(self.model, Fitted):
            # On the CPU, where scikit-learn computes.
            self.model.cpu().fit(self.fold.train, self.fold.valid, self.fold.corpus)
            self.model.to(self.device)
            return []
        generator = torch.Generator().manual_seed(self._epoch_seed(epoch))
        train, settings = self.fold.train, self.settings
        drawn = draw(train, settings.sampling, self.fold.shape.classes, generator)
        lengths = [len(train[number]) for number in drawn]
        buckets = length_buckets(lengths, settings.batch_size, generator)
        return [[drawn[place] for place in bucket] for bucket in buckets]

    def parts(self, places: Sequence[int]) -> Iterator[Part]:
        """Padded batches, each with its share of the labelled turns' weights."""
        self.last = []
        at_once = math.ceil(len(places) / self.settings.accumulation)
        parts = [places[start : start + at_once] for start in range(0, len(places), at_once)]
        weights = [self._weight(part) for part in parts] if len(parts) > 1 else [1.0]
        for part, weight in zip(parts, weights, strict=True):
            batch = collate([self.fold.train[place] for place in part])
            yield batch.to(self.device), weight / (sum(weights) or 1.0)

    def _weight(self, places: Sequence[int]) -> float:
        labels = torch.cat([self.fold.train[place].labels for place in places])
        labels = labels[labels != NO_LABEL]
        weights = self.entropy.class_weights
        return float(len(labels) if weights is None else weights[labels].sum())

    def losses(self, part: Part) -> dict[str, Tensor]:
        """The system's terms, a part's by its share."""
        batch, share = part
        output = self.model(batch)
        terms = self.model.losses(output, batch, self.entropy)
        self.last.append((output, batch))
        return terms if share == 1.0 else {name: share * term for name, term in terms.items()}

    @torch.no_grad()
    def after_step(self) -> dict[str, Tensor]:
        """Let the system update what it keeps beside its weights; its figures, means of parts.

        A part that gives NaN had nothing to measure.
        """
        parts = []
        for output, batch in self.last:
            mask = batch.turn_mask
            self.seen.append((output.logits.detach()[mask], batch.labels[mask]))
            self.model.after_step(output, batch)
            parts.append(self.model.figures(output, batch))
        return {name: torch.stack([part[name] for part in parts]).nanmean() for name in parts[0]}

    def rate(self, step: int, scores: Sequence[float]) -> tuple[float, float]:
        """By the schedule of the settings."""
        steps = math.ceil(len(self.fold.train) / self.settings.batch_size)
        return rate(self.settings, step, steps, scores)

    def end(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Choose by validation, then predict both splits; test labels are not in here."""
        passes = outputs(self.model, self.fold.valid, self.at_once, self.precision)
        self.model.after_epoch((output, batch) for _, batch, output in passes)
        valid, test = (self._predict(d) for d in (self.fold.valid, self.fold.test))
        labels = torch.cat([d.labels for d in self.fold.valid])
        scores = {
            "train_weighted_f1": self._train_f1(),
            "valid_cross_entropy": cross_entropy(valid, labels),
            "valid_weighted_f1": weighted_f1(valid, labels),
        }
        return scores, {"valid": valid, "test": test}

    def _train_f1(self) -> float:
        if self.seen:
            logits, labels = (torch.cat(parts).cpu() for parts in zip(*self.seen, strict=True))
        else:
            logits = self._predict(self.fold.train)
            labels = torch.cat([d.labels for d in self.fold.train])
        return weighted_f1(logits, labels)

    def _predict(self, dialogues: Sequence[Dialogue]) -> Tensor:
        """Class probabilities, [utterance, class] float32, utterances in dialogue order."""
        return torch.cat(probabilities(self.model, dialogues, self.at_once, self.precision))

    def weights(self) -> dict[str, Tensor]:
        """All of the system's state."""
        return {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}


def limits_of(name: str, settings: Any) -> Limits:
    """How long a run of a system may go on: a single epoch where it is fitted at once."""
    if not isinstance(settings, Settings):
        return Limits(1, 1)
    return Limits(settings.epochs, settings.patience, system(name).stages(settings))


def _schedule(fold: Fold) -> Schedule:
    settings: Any = fold.settings
    if not isinstance(settings, Settings):
        return Schedule(0.0, 0.0, 0.0, fold.compute.precision, fold.name)
    return Schedule(
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        gradient_clip=settings.gradient_clip,
        precision=fold.compute.precision,
        section=fold.name,
    )


def _entropy(fold: Fold) -> Entropy:
    settings = fold.settings
    if not isinstance(settings, Settings):
        return Entropy()
    labels = [d.labels for d in fold.train]
    weights = class_weights(labels, fold.shape.classes, settings.class_weights)
    return Entropy(weights, settings.label_smoothing, settings.focal)
