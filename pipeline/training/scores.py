"""Scores, class counts and class weights of labelled utterances; the end of a diverged run."""

import math
from collections.abc import Sequence

import torch
from sklearn.metrics import f1_score
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.nn.batch import NO_LABEL

EFFECTIVE_NUMBER_BETA = 0.999


class DivergedError(PipelineError):
    """The loss of an epoch is NaN or infinite."""


def weighted_f1(scores: Tensor, labels: Tensor) -> float:
    """Weighted F1 over labelled utterances, in percent.

    Args:
        scores: Of each class, the larger the likelier, [utterance, class].
        labels: [utterance], -1 for none.
    """
    known = labels != NO_LABEL
    predicted = scores.argmax(-1)[known]
    return 100 * float(f1_score(labels[known], predicted, average="weighted", zero_division=0))


def cross_entropy(probabilities: Tensor, labels: Tensor) -> float:
    """Mean of -log p of the true class over labelled utterances, without class weights.

    Args:
        probabilities: [utterance, class].
        labels: [utterance], -1 for none.
    """
    floor = torch.finfo(probabilities.dtype).tiny
    return float(
        torch.nn.functional.nll_loss(
            probabilities.clamp(min=floor).log(), labels, ignore_index=NO_LABEL
        )
    )


def refuse_divergence(loss: float, epoch: int, section: str) -> None:
    """Stop a run whose loss is NaN or infinite.

    Args:
        loss: Mean over an epoch.
        epoch: Its number.
        section: Of params.yaml, whose learning rate is too high.

    Raises:
        DivergedError: It is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise DivergedError(
            f"Epoch {epoch} has a loss of {loss}: training diverged. Lower "
            f"CORPUS.{section}.learning_rate, or raise its warmup; on a GPU, bfloat16 or float32 "
            "as compute.precision leave more room than float16."
        )


def class_weights(labels: Sequence[Tensor], classes: int, rule: str) -> Tensor | None:
    """Cross-entropy weights from class counts, [class], with a mean of 1 over labelled utterances.

    `inverse` weights a class by 1/n; `effective_number` by (1-b)/(1-b^n) with b = 0.999 (Cui et
    al., CVPR 2019); `none` gives None. A class without an utterance gets weight 0.

    Args:
        labels: Of each dialogue of the train split, [turn], -1 for none.
        classes: How many classes there are.
        rule: `inverse`, `effective_number` or `none`.
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
    together = torch.cat(list(labels))
    return torch.bincount(together[together != NO_LABEL], minlength=classes).double()
