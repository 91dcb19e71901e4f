"""What every stage does first and last: check settings, measure, put errors into words."""

import errno
import gc
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.base.costs import measured
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params


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
        gc.freeze()  # or at its end the interpreter looks through all that was imported: 50 ms
    except PipelineError as error:
        sys.exit(f"\n{name}: {error}\n")
    except OSError as error:
        sys.exit(f"\n{name}: {error.strerror}: {error.filename or ''}{_advice(error)}\n")
    except RuntimeError as error:
        if (said := no_room(error, Path(sys.argv[0]).stem)) is None:
            raise
        sys.exit(f"\n{name}: {said}\n")


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "\nMake room, then run it again: it goes on where it was."
    return ""


# torch's error of it, by name: most stages do not import torch.
NO_ROOM = "OutOfMemoryError"
LESS = {
    "visual": "CORPUS.visual.batch_size is lower",
    "text": "CORPUS.text.tokens_per_batch is lower",
    "finetune": "CORPUS.finetune.accumulation is higher (more, smaller parts of a step), or with "
    "gradient_checkpointing or a lora_rank",
    "train": "CORPUS.train.batch_size is lower, or CORPUS.train.workers",
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
