"""Which dialogues an epoch learns from, and which of them together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.dataset import Dialogue
from pipeline.training.statistics import class_counts


def sampling_weights(dialogues: Sequence[Dialogue], classes: int) -> Tensor:
    """How often each dialogue is drawn when classes are to be balanced: [dialogue], float64.

    The mean of 1/n over its labelled utterances, n being how many the train split has of their
    class. One dialogue holds several classes, so they come out nearer to each other, not equal.

    Args:
        dialogues: The train split's.
        classes: How many classes there are.
    """
    counts = class_counts([d.labels for d in dialogues], classes)
    shares = [(1 / counts)[d.labels[d.labels >= 0]] for d in dialogues]
    return torch.stack([s.mean() if len(s) else s.new_zeros(()) for s in shares])


def draw(
    dialogues: Sequence[Dialogue], sampling: str, classes: int, generator: torch.Generator
) -> list[int]:
    """The dialogues of an epoch, by number.

    Args:
        dialogues: The train split's.
        sampling: `all`: each once; `class_balanced`: as many, with replacement, those with rare
            classes more often.
        classes: How many classes there are.
        generator: Of the draw.
    """
    if sampling == "all":
        return list(range(len(dialogues)))
    weights = sampling_weights(dialogues, classes)
    drawn = torch.multinomial(weights, len(dialogues), replacement=True, generator=generator)
    return drawn.tolist()


def length_buckets(
    lengths: Sequence[int], batch_size: int, generator: torch.Generator
) -> list[list[int]]:
    """Batches of dialogues of similar length, anew in each epoch.

    Lengths are jittered before sorting, so that batches do not hold the same dialogues each time;
    padding then takes a few slots instead of more than half of them.

    Args:
        lengths: Turns of each dialogue.
        batch_size: Dialogues per batch.
        generator: Of the jitter, and of the order of the batches.

    Returns:
        Lists of places in `lengths`, each place once.
    """
    noise = torch.rand(len(lengths), generator=generator) * 3
    order = torch.argsort(torch.tensor(lengths) + noise, stable=True).tolist()
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[i] for i in shuffled]
