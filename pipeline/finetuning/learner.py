"""How the text encoder is trained: a learner of the one training loop."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pipeline.base.files import chunked
from pipeline.finetuning.examples import Task, batches, draw
from pipeline.finetuning.network import TunedEncoder, parameter_groups
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.nn.entropy import Entropy
from pipeline.nn.optimise import Player
from pipeline.training.fit import VALID_F1, Limits, Schedule
from pipeline.training.scores import class_weights, cross_entropy, refuse_divergence, weighted_f1

SECTION = "finetune"
Part = tuple[list[int], float]


class TextLearner:
    """The fine-tuning of one encoder: a `Learner`.

    The order of an epoch and the dropout of a step are seeded by seed, epoch and step.
    """

    every_step = True  # an epoch of a large encoder takes long
    rounds = ()

    def __init__(self, task: Task) -> None:
        examples, settings = task.examples, task.settings
        self.encoder, self.settings = TunedEncoder(task), settings
        self.model, self.device = self.encoder.model, self.encoder.device
        self.limits = limits_of(settings)
        self.schedule = Schedule(
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            gradient_clip=settings.gradient_clip,
            precision=task.compute.precision,
            section=SECTION,
        )
        self._train, self._valid = (
            self.encoder.read([e.turn for e in some]) for some in (examples.train, examples.valid)
        )
        self._labels, self._valid_labels = (
            torch.tensor([e.label for e in some]) for some in (examples.train, examples.valid)
        )
        classes = len(examples.classes)
        weights = class_weights([self._labels], classes, settings.class_weights)
        self._entropy = Entropy(weights, settings.label_smoothing)
        self._epoch = 0
        self.steps_per_epoch = steps_per_epoch(task)

    def enter(self, stage: str) -> dict[str, Sequence[Player]]:
        """One optimiser for encoder and head."""
        return {"all": parameter_groups(self.model, self.settings)}

    def seed(self, epoch: int, step: int) -> int:
        """A seed for each step."""
        return self._seed(2 * ((epoch - 1) * self.steps_per_epoch + step) + 1)

    def _seed(self, number: int) -> int:
        return (self.settings.seed * 1_000_003 + number) % 2**31

    def batches(self, epoch: int) -> list[list[int]]:
        """Numbers of train utterances."""
        self.model.train()
        self._epoch = epoch
        generator = torch.Generator().manual_seed(self._seed(2 * (epoch - 1)))
        drawn = draw(self._labels, self.settings.sampling, generator)
        return batches(drawn, self._train.lengths, self.settings.batch_size, generator)

    def parts(self, places: Sequence[int]) -> Iterator[Part]:
        """Parts of a batch, each with its share of the utterances' weights."""
        whole = self._weight(places)
        for part in chunked(places, math.ceil(len(places) / self.settings.accumulation)):
            yield part, self._weight(part) / whole

    def _weight(self, places: Sequence[int]) -> float:
        weights = self._entropy.class_weights
        return float(len(places) if weights is None else weights[self._labels[places]].sum())

    def losses(self, part: Part) -> dict[str, Tensor]:
        """A part's share of the batch's cross-entropy."""
        places, share = part
        logits = self.model(self._train.batch(places))
        labels = self._labels[places].to(self.device)
        return {"cross_entropy": share * self._entropy(logits, labels)}

    def after_step(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def rate(self, step: int, scores: Sequence[float]) -> tuple[float, float]:
        """A linear rise, then a linear fall to 0."""
        steps = self.settings.epochs * self.steps_per_epoch
        rising = math.ceil(self.settings.warmup * steps)
        if step < rising:
            return (step + 1) / rising, 1.0
        return (steps - step) / max(1, steps - rising), 1.0

    def end(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Predict validation; nothing of test is in here.

        Raises:
            PipelineError: The weights are NaN or infinite.
        """
        valid = self.encoder.probabilities(self._valid)
        loss = cross_entropy(valid, self._valid_labels)
        refuse_divergence(loss, self._epoch, SECTION)
        scores = {"valid_cross_entropy": loss, VALID_F1: weighted_f1(valid, self._valid_labels)}
        return scores, {"valid": valid, "test": valid.new_zeros(0, valid.shape[1])}

    def weights(self) -> dict[str, Tensor]:
        """The parameters that learn."""
        return {name: p.detach().cpu().clone() for name, p in self.encoder.learning.items()}


def steps_per_epoch(task: Task) -> int:
    """Batches of an epoch."""
    return math.ceil(len(task.examples.train) / task.settings.batch_size)


def limits_of(settings: FinetuneSettings) -> Limits:
    """How long a fine-tuning may go on."""
    return Limits(settings.epochs, settings.patience)
