"""The learning rate: a linear rise, then level, a half cosine, or lower whenever nothing improves.

It follows from the step and the scores so far, so a run that goes on after a kill needs no more.
"""

import math
from collections.abc import Sequence

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pipeline.settings.train import TrainSettings


def learning_rate(
    settings: TrainSettings, step: int, steps_per_epoch: int, scores: Sequence[float]
) -> float:
    """The learning rate of a step.

    Args:
        settings: The full rate, the warm-up and what follows it.
        step: From 0, over all epochs.
        steps_per_epoch: Batches of an epoch.
        scores: Validation weighted F1 of the epochs before this one.
    """
    steps = settings.epochs * steps_per_epoch
    rising = math.ceil(settings.warmup * steps)
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "plateau":
        warm = math.ceil(rising / steps_per_epoch)
        return settings.learning_rate * _plateau(settings, scores[warm:])
    share = (step - rising) / max(1, steps - rising)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _plateau(settings: TrainSettings, scores: Sequence[float]) -> float:
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
