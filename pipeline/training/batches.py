"""Which dialogues an epoch learns from, in which batches, and at which learning rate.

All of it follows from the seed, the step and the scores so far: a resumed run needs no more.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pipeline.nn.batch import Dialogue
from pipeline.systems.base import Settings
from pipeline.training.scores import class_counts


def sampling_weights(dialogues: Sequence[Dialogue], classes: int) -> Tensor:
    """How often each train dialogue is drawn to balance the classes: [dialogue], float64.

    The mean of 1/n over its labelled utterances, n being how many the train split has of their
    class. One dialogue holds several classes, so they come out nearer to each other, not equal.
    """
    counts = class_counts([d.labels for d in dialogues], classes)
    shares = [(1 / counts)[d.labels[d.labels >= 0]] for d in dialogues]
    return torch.stack([s.mean() if len(s) else s.new_zeros(()) for s in shares])


def draw(
    dialogues: Sequence[Dialogue], sampling: str, classes: int, generator: torch.Generator
) -> list[int]:
    """Draw the train dialogues of an epoch, by number.

    `all` takes each once; `class_balanced` as many, with replacement, those with rare classes more
    often.
    """
    if sampling == "all":
        return list(range(len(dialogues)))
    weights = sampling_weights(dialogues, classes)
    drawn = torch.multinomial(weights, len(dialogues), replacement=True, generator=generator)
    return drawn.tolist()


def length_buckets(
    lengths: Sequence[int], batch_size: int, generator: torch.Generator
) -> list[list[int]]:
    """Batch dialogues of similar length, by their places in `lengths`, anew in each epoch.

    Lengths are jittered before sorting, so that batches do not hold the same dialogues each time;
    padding then takes a few slots instead of more than half of them.
    """
    noise = torch.rand(len(lengths), generator=generator) * 3
    order = torch.argsort(torch.tensor(lengths) + noise, stable=True).tolist()
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[i] for i in shuffled]


def rate(
    settings: Settings, step: int, steps_per_epoch: int, scores: Sequence[float]
) -> tuple[float, float]:
    """What the full learning rate is multiplied with, then divided by, at a step.

    Args:
        settings: The warm-up, and the schedule after it.
        step: From 0, over all epochs.
        steps_per_epoch: Batches of an epoch.
        scores: Validation weighted F1 of the epochs before this one.
    """
    steps = settings.epochs * steps_per_epoch
    rising = math.ceil(settings.warmup * steps)
    if step < rising:
        return step + 1, rising
    if settings.schedule == "constant":
        return 1.0, 1.0
    if settings.schedule == "plateau":
        warm = math.ceil(rising / steps_per_epoch)
        return _plateau(settings, scores[warm:]), 1.0
    share = (step - rising) / max(1, steps - rising)
    if settings.schedule == "linear":
        return 1 - share, 1.0
    return 0.5 * (1 + math.cos(math.pi * share)), 1.0


def _plateau(settings: Settings, scores: Sequence[float]) -> float:
    """Share of the full rate that PyTorch's scheduler is left with after these scores."""
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = ReduceLROnPlateau(
        optimiser,
        mode="max",
        factor=settings.plateau_factor,
        patience=settings.plateau_patience,
        threshold=0.0,
    )
    for score in scores:
        scheduler.step(score)
    return float(optimiser.param_groups[0]["lr"])
