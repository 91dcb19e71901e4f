"""Cross-entropy over the labelled turns of a batch: class weights, label smoothing, focal loss."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.batch import NO_LABEL
from pipeline.nn.precision import precise


@dataclass(frozen=True)
class Entropy:
    """The cross-entropy of the settings; unlabelled and padded turns give none."""

    class_weights: Tensor | None = None
    """[class]; None for equal ones."""

    label_smoothing: float = 0.0
    """In [0, 1)."""

    focal: float = 0.0
    """gamma of the focal loss (Lin et al., ICCV 2017): each utterance's cross-entropy is multiplied
    by (1 - p)^gamma, p being the probability of its class; 0 is plain cross-entropy."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted mean over labelled utterances, 0 with a graph if there are none.

        Args:
            logits: [..., class].
            labels: [...], -1 for none.
        """
        labelled = labels != NO_LABEL
        logits, labels = precise(logits[labelled]), labels[labelled]
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        each = functional.cross_entropy(
            logits, labels, weights, reduction="none", label_smoothing=self.label_smoothing
        )
        if self.focal:
            each = each * _doubt(logits, labels) ** self.focal
        # PyTorch's own mean divides by the same number, but gives NaN where it is 0.
        count = torch.ones_like(logits[:, 0]) if weights is None else weights[labels]
        return each.sum() / count.sum().clamp(min=torch.finfo(each.dtype).tiny)


def _doubt(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - p of the true class, [utterance], above 0: 0 ** gamma has no gradient for gamma < 1."""
    true_class = functional.one_hot(labels, logits.shape[-1]).bool()
    doubt = logits.softmax(-1).masked_fill(true_class, 0).sum(-1)
    return doubt.clamp(min=torch.finfo(doubt.dtype).tiny)
