"""The scores by which a run judges itself, and the end of one that diverged."""

import math

import torch
from sklearn.metrics import f1_score
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.nn.batch import NO_LABEL


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
    """Ends a run whose loss is NaN or infinite.

    Args:
        loss: Mean over an epoch.
        epoch: Its number.
        section: Of params.yaml, whose learning rate is too high.

    Raises:
        PipelineError: It is.
    """
    if not math.isfinite(loss):
        raise PipelineError(
            f"Epoch {epoch} has a loss of {loss}: training diverged. Lower "
            f"CORPUS.{section}.learning_rate, or raise its warmup; on a GPU, bfloat16 or float32 "
            "as compute.precision leave more room than float16."
        )
