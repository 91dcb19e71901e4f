"""A loss that is no number any more: nothing that follows would mean anything."""

import math

from pipeline.errors import PipelineError


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
            f"{section}.CORPUS.learning_rate, or raise its warmup; on a GPU, bfloat16 or float32 "
            "as compute.precision leave more room than float16."
        )
