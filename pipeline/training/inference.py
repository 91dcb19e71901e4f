"""A trained model's class probabilities for the turns of dialogues."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.nn.batch import Dialogue, DialogueBatch, collate
from pipeline.nn.optimise import autocast
from pipeline.systems.base import Output, System

BATCH_SIZE = 32


@torch.inference_mode()
def probabilities(
    model: System,
    dialogues: Sequence[Dialogue],
    batch_size: int = BATCH_SIZE,
    precision: torch.dtype | None = None,
) -> list[Tensor]:
    """Class probabilities of every turn.

    Batch mates move the last bits alone (1e-5); the same batches give the same bytes.

    Args:
        model: On the device it is to run on; it is left in evaluation mode.
        dialogues: In any order.
        batch_size: Dialogues per batch.
        precision: See `lower_precision`.

    Returns:
        For each dialogue [turn, class] float32 on the CPU.

    Raises:
        PipelineError: A score is NaN or infinite.
    """
    by_number: dict[int, Tensor] = {}
    for numbers, _, output in outputs(model, dialogues, batch_size, precision):
        logits = output.logits
        if not logits.isfinite().all():
            raise PipelineError(_not_finite([dialogues[number].name for number in numbers]))
        for row, number in enumerate(numbers):
            turns = logits[row, : len(dialogues[number])]
            by_number[number] = turns.float().softmax(-1).cpu()
    return [by_number[number] for number in range(len(dialogues))]


@torch.inference_mode()
def outputs(
    model: System, dialogues: Sequence[Dialogue], batch_size: int, precision: torch.dtype | None
) -> Iterator[tuple[list[int], DialogueBatch, Output]]:
    """Numbers of dialogues of similar length, their batch, and what a model makes of it.

    See `probabilities`.
    """
    model.eval()
    device = model.device
    for numbers in _by_length(dialogues, batch_size):
        batch = collate([dialogues[number] for number in numbers]).to(device)
        with autocast(device, precision):
            output = model(batch)
        yield numbers, batch, output


def _not_finite(names: Sequence[str]) -> str:
    return (
        f"The model's scores are NaN or infinite, in one of these dialogues: {', '.join(names)}. "
        "While it trains, training diverged: lower CORPUS.SYSTEM.learning_rate, or raise its "
        "warmup. A trained model has features there that it cannot read: look for what is wrong "
        "with them in data/ledgers/CORPUS. On a GPU, float32 as compute.precision leaves more room."
    )


def _by_length(dialogues: Sequence[Dialogue], batch_size: int) -> Iterator[list[int]]:
    """Dialogue numbers in batches of similar length."""
    order = sorted(range(len(dialogues)), key=lambda number: (len(dialogues[number]), number))
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))
