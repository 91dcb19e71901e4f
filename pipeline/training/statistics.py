"""Class counts and class weights of the train split."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.nn.batch import NO_LABEL

EFFECTIVE_NUMBER_BETA = 0.999


def class_weights(labels: Sequence[Tensor], classes: int, rule: str) -> Tensor | None:
    """Cross-entropy weights from class counts, with a mean of 1 over labelled utterances.

    `inverse` weights a class by 1/n; `effective_number` by (1-b)/(1-b^n) with b = 0.999 (Cui et
    al., CVPR 2019); `none` gives None. A class without an utterance gets weight 0.

    Args:
        labels: Of the train split, in parts; -1 for none.
        classes: How many classes there are.
        rule: As above.
    """
    if rule == "none":
        return None
    counts = class_counts(labels, classes)
    beta = EFFECTIVE_NUMBER_BETA
    raw = 1 / counts if rule == "inverse" else (1 - beta) / (1 - beta**counts)
    raw[counts == 0] = 0
    return (raw * counts.sum() / (raw * counts).sum()).float()


def class_counts(labels: Sequence[Tensor], classes: int) -> Tensor:
    """Labelled utterances by class, [class] float64.

    Args:
        labels: Of each dialogue, [turn], -1 for none.
        classes: How many classes there are.
    """
    every = torch.cat(list(labels))
    return torch.bincount(every[every != NO_LABEL], minlength=classes).double()
