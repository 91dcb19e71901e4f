"""What to say when a GPU's memory does not suffice."""

# torch's error of it, by name: most stages do not import torch.
NO_ROOM = "OutOfMemoryError"
LESS = {
    "visual": "visual.CORPUS.batch_size is lower",
    "text": "text.CORPUS.tokens_per_batch is lower",
    "finetune": "finetune.CORPUS.accumulation is higher (more, smaller parts of a step), or with "
    "gradient_checkpointing or a lora_rank",
    "train": "train.CORPUS.batch_size is lower, or train.CORPUS.workers",
}


def no_room(error: RuntimeError, stage: str) -> str | None:
    """The error with what helps; None if it is another error.

    Args:
        error: What was raised.
        stage: While it ran.
    """
    if type(error).__name__ != NO_ROOM:
        return None
    how = f"less is needed where {LESS[stage]}; " if stage in LESS else ""
    return f"{error}\nThe GPU's memory does not suffice: {how}compute.device: cpu needs none of it."
