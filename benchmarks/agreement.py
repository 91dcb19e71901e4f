"""Whether the naive peer computes what ours does: without that, a ratio of times means nothing."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.naive import NaiveMCNCL
from benchmarks.naive_loss import NaiveLoss, naive_contrastive
from benchmarks.synthetic_dialogues import DIMENSIONS, Shape, random_dialogues
from pipeline.nn.batch import NO_LABEL, DialogueBatch
from pipeline.systems.loss import Loss
from pipeline.systems.mcn_cl import MCNCL
from pipeline.training.data import collate

TOLERANCE = 1e-5
MISSING = 0.15


def make_model(
    shape: Shape, dropout: float, dimensions: Mapping[str, int] = DIMENSIONS, width: int = 256
) -> MCNCL:
    """Ours, untrained, the same each time."""
    torch.manual_seed(0)
    return MCNCL(
        dimensions=dict(dimensions),
        classes=len(shape.classes),
        width=width,
        layers=shape.layers,
        dropout=dropout,
    )


def differences(
    shape: Shape,
    dialogues: int,
    dtype: torch.dtype,
    dimensions: Mapping[str, int] = DIMENSIONS,
    width: int = 256,
) -> dict[str, float]:
    """Largest absolute differences between ours and the naive peer with the same weights.

    Args:
        shape: The corpus.
        dialogues: How many, in one padded batch in which utterances lack modalities and frames.
        dtype: In which both compute.
        dimensions: Number of features by modality.
        width: The model's width.

    Returns:
        By what is compared.
    """
    ours = make_model(shape, 0.0, dimensions, width)
    naive, loss = NaiveMCNCL(ours).to(dtype), Loss()
    few = replace(shape, dialogues=dialogues)
    found = random_dialogues(few, dimensions=dimensions, missing=MISSING)
    batch = _as(collate(found), dtype)
    first = _said(ours.to(dtype), loss, batch)
    second = _said(naive, NaiveLoss(loss, naive_contrastive), batch)
    return {name: (first[name] - second[name]).abs().max().item() for name in first}


def check(found: Mapping[str, float]) -> None:
    """Ends the program if something differs by more than the tolerance, NaN included."""
    wrong = {name: value for name, value in found.items() if not value <= TOLERANCE}
    if wrong:
        raise SystemExit(f"The naive peer is another model, nothing was timed; differs: {wrong}")


def _said(model: nn.Module, loss: Loss | NaiveLoss, batch: DialogueBatch) -> dict[str, Tensor]:
    """What a model says about a batch, and what it learns from it, tensor by tensor.

    The norm of the gradient over all weights stands for all gradients.
    """
    output = model(batch)
    terms = loss(output, batch)
    terms.total.backward()
    logits = output.logits
    if logits.dim() == 3:  # ours are [batch, turn, class]
        logits = logits[batch.labels != NO_LABEL]
    return {
        "logits": logits.detach(),
        "cross-entropy": terms.cross_entropy,
        **{f"contrastive, {m}": term for m, term in terms.per_modality.items()},
        "total": terms.total,
        "gradient norm": nn.utils.get_total_norm(p.grad for p in model.parameters()),
    }


def _as(batch: DialogueBatch, dtype: torch.dtype) -> DialogueBatch:
    return replace(batch, features={m: f.to(dtype) for m, f in batch.features.items()})
