"""Which utterances an epoch learns from, and which of them together."""

from collections.abc import Sequence

import torch
from torch import Tensor

BATCHES_PER_POOL = 32


def draw(labels: Tensor, sampling: str, generator: torch.Generator) -> Tensor:
    """The utterances of an epoch, by place, in random order.

    Args:
        labels: [utterance].
        sampling: `all`: each once; `class_balanced`: as many, with replacement, each class being
            as likely as the others.
        generator: Of the draw.
    """
    if sampling == "all":
        return torch.randperm(len(labels), generator=generator)
    counts = torch.bincount(labels).double()
    return torch.multinomial(
        (1 / counts)[labels], len(labels), replacement=True, generator=generator
    )


def batches(
    drawn: Tensor, lengths: Sequence[int], batch_size: int, generator: torch.Generator
) -> list[list[int]]:
    """Batches of utterances of similar length, which leaves little padding.

    Utterances are sorted by length within pools of 32 batches, so that batches hold others in
    each epoch.

    Args:
        drawn: Places of utterances, in random order.
        lengths: Tokens of each utterance, by place.
        batch_size: Utterances per batch; the last has the rest.
        generator: Of the order of the batches.
    """
    pool = batch_size * BATCHES_PER_POOL
    order = drawn.tolist()
    ordered = [
        place
        for start in range(0, len(order), pool)
        for place in sorted(order[start : start + pool], key=lengths.__getitem__)
    ]
    found = [ordered[n : n + batch_size] for n in range(0, len(ordered), batch_size)]
    return [found[n] for n in torch.randperm(len(found), generator=generator).tolist()]
