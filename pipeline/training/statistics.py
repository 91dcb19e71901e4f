"""What training takes from the train split alone: feature statistics and class weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.dataset import Dialogue
from pipeline.model.inputs import NO_LABEL

EFFECTIVE_NUMBER_BETA = 0.999


def mean_and_std(dialogues: Sequence[Dialogue], modality: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the present utterances (or frames).

    Summed in float64, so that columns that never vary come out as such.

    Args:
        dialogues: The train split's.
        modality: Which modality.

    Returns:
        Two [feature] float32 tensors; zeros and ones where no utterance has the modality.
    """
    width = dialogues[0].features[modality].shape[-1]
    count, total, squares = 0, torch.zeros(width).double(), torch.zeros(width).double()
    for rows in (_present(d, modality).double() for d in dialogues):
        count += len(rows)
        total += rows.sum(0)
    if not count:
        return torch.zeros(width), torch.ones(width)
    mean = total / count
    for rows in (_present(d, modality).double() for d in dialogues):
        squares += (rows - mean).square().sum(0)
    return mean.float(), (squares / count).sqrt().float()


def _present(dialogue: Dialogue, modality: str) -> Tensor:
    vectors, present = dialogue.features[modality], dialogue.present[modality]
    if modality == "visual" and dialogue.frame_mask is not None:
        return vectors[dialogue.frame_mask & present[:, None]]
    return vectors[present]


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
