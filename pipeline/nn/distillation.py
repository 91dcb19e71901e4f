"""Losses by which a student learns from a teacher; the teacher's side has no gradient.

All are means over rows, the real turns of a batch, and 0 without any.
"""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.precision import precise


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`KL(softmax(teacher / tau) || softmax(student / tau))`.

    Args:
        student: Logits, [row, class].
        teacher: Logits, [row, class].
        temperature: tau.
    """
    return _divergence(precise(student) / temperature, precise(teacher).detach() / temperature)


def relation_distillation(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """`KL(softmax(T T' / tau) || softmax(T S' / tau))`: which rows resemble which.

    Args:
        student: S, vectors of any length, [row, feature].
        teacher: T, [row, feature].
        temperature: tau.
    """
    taught = functional.normalize(precise(teacher).detach(), dim=1)
    learned = functional.normalize(precise(student), dim=1)
    return _divergence(taught @ learned.T / temperature, taught @ taught.T / temperature)


def correlation_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """DIST (Huang et al., NeurIPS 2022): probabilities need only rise and fall together.

    `tau^2 (1 - mean correlation of rows + 1 - mean correlation of columns)` of softmax(. / tau),
    by Pearson; a row or column that is constant on either side, or alone, is left out.

    Args:
        student: Logits, [row, class].
        teacher: Logits, [row, class].
        temperature: tau.
    """
    learned = (precise(student) / temperature).softmax(dim=1)
    taught = (precise(teacher).detach() / temperature).softmax(dim=1)
    lack = _decorrelation(learned, taught) + _decorrelation(learned.T, taught.T)
    return temperature**2 * lack


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of the softmax of rows, a mean over rows."""
    if not len(student):
        return student.sum()
    log_student, log_teacher = student.log_softmax(dim=1), teacher.log_softmax(dim=1)
    return functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def _decorrelation(x: Tensor, y: Tensor) -> Tensor:
    """1 - the mean over rows of Pearson's correlation, [row, value]."""
    if not x.numel():
        return x.sum()
    x, y = (v - v.mean(dim=1, keepdim=True) for v in (x, y))
    noise = torch.finfo(x.dtype).eps * x.shape[1] ** 0.5
    varies = (x.detach().norm(dim=1) > noise) & (y.norm(dim=1) > noise)
    if not varies.any():
        return x.sum() * 0
    return 1 - functional.cosine_similarity(x[varies], y[varies], dim=1).mean()
