"""What every stage does first and last: check settings, measure, tell errors in words."""

import errno
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.costs import measured
from pipeline.errors import PipelineError
from pipeline.params import read_params

# torch's error of a GPU without room, by name: most stages do not import torch.
NO_ROOM = "OutOfMemoryError"
LESS_MEMORY = {
    "visual": "visual.CORPUS.batch_size is lower",
    "text": "text.CORPUS.tokens_per_batch is lower",
    "finetune": "finetune.CORPUS.accumulation is higher (more, smaller parts of a step), or with "
    "gradient_checkpointing or a lora_rank",
    "train": "train.CORPUS.batch_size or workers is lower",
}


def run(work: Callable[..., None]) -> None:
    """Runs a stage with the words of its command line; what a user can mend exits with 1.

    Args:
        work: Takes the checked params, the corpus and whatever else the command line names.
    """
    name = f"{Path(sys.argv[0]).stem} {' '.join(sys.argv[1:])}"
    _, *wanted = inspect.signature(work).parameters
    if len(wanted) != len(sys.argv) - 1:
        usage = " ".join(word.upper() for word in wanted)
        sys.exit(f"usage: python -m stages.{Path(sys.argv[0]).stem} {usage}")
    try:
        params = read_params()
        corpus, *further = sys.argv[1:]
        with measured("-".join([Path(sys.argv[0]).stem, *further]), corpus):
            work(params, *sys.argv[1:])
    except PipelineError as error:
        sys.exit(f"\n{name}: {error}\n")
    except OSError as error:
        sys.exit(f"\n{name}: {error.strerror}: {error.filename or ''}{_advice(error)}\n")
    except RuntimeError as error:
        if type(error).__name__ != NO_ROOM:
            raise
        sys.exit(f"\n{name}: {error}\n{_less_memory(Path(sys.argv[0]).stem)}\n")


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "\nMake room, then run it again: it goes on where it was."
    return ""


def _less_memory(stage: str) -> str:
    how = f"less is needed where {LESS_MEMORY[stage]}; " if stage in LESS_MEMORY else ""
    return f"The GPU's memory does not suffice: {how}compute.device: cpu needs none of it."
