"""What every stage does first and last: check its call, measure, put errors into words."""

import gc
import re
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from pipeline.base.call import checked, words_in
from pipeline.base.costs import measured
from pipeline.base.display import printable, say
from pipeline.base.errors import PipelineError
from pipeline.base.files import FULL
from pipeline.base.lockfile import note_of_loss
from pipeline.base.params import DEMO


def run(work: Callable[..., None]) -> None:
    """Runs a stage with the words of its command line; what a user can fix exits with 1.

    `work` takes the checked params, the corpus and whatever else the command line names.
    """
    stage, words = Path(sys.argv[0]).stem, words_in(sys.argv)
    name = " ".join([stage, *words])
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see stages/__init__.py
            signal.signal(signal.SIGINT, signal.default_int_handler)
        params = checked(stage, words)
        # DVC names a demo's stage by what `demos` says: without the beginning.
        item = "-".join(words).removeprefix(DEMO * (stage == "demo"))
        say(note_of_loss(f"{stage}@{item}" if words else stage), end="")
        with measured("-".join([stage, *words[1:]]), words[0]) if words else nullcontext():
            work(params, *words)
        gc.freeze()  # or at its end the interpreter looks through all that was imported: 50 ms
    except PipelineError as error:
        sys.exit(printable(f"\n{name}: {_named(str(error), words)}\n"))
    except (OSError, RuntimeError) as error:
        if (text := in_words(error, stage)) is None:
            raise
        sys.exit(printable(f"\n{name}: {_named(text, words)}\n"))
    except KeyboardInterrupt:
        say(f"\n{name}: interrupted. Run again: it resumes.", error=True)
        sys.exit(130)  # as shells do: 128 and the number of SIGINT


def _named(text: str, words: list[str]) -> str:
    """A message with the names where it says CORPUS and SYSTEM, not knowing which."""
    for what, name in zip(("CORPUS", "SYSTEM"), words, strict=False):
        text = re.sub(rf"\b{what}\b", name, text)
    return text


def in_words(error: OSError | RuntimeError, stage: str) -> str | None:
    """What a stage raised, with what helps; None if it is an error that nobody foresaw."""
    if isinstance(error, OSError):
        advice = "\nFree disk space and run it again; the stage resumes." * (error.errno in FULL)
        return f"{error.strerror or error}: {error.filename or ''}{advice}"
    if type(error).__name__ != NO_ROOM:
        return None
    how = f"{LOWER[stage]}, or " if stage in LOWER else ""
    return f"{error}\nOut of GPU memory: {how}set compute.device: cpu."


def lower(stage: str) -> str:
    """What takes less memory, after a colon; "" where no setting of a stage does."""
    return f": {LOWER[stage]}" if stage in LOWER else ""


# torch's error of it, by name: most stages do not import torch.
NO_ROOM = "OutOfMemoryError"
LOWER = {
    "visual": "lower CORPUS.visual.batch_size",
    "text": "lower CORPUS.text.tokens_per_batch",
    "finetune": "raise CORPUS.finetune.accumulation (a step in more, smaller parts), set "
    "gradient_checkpointing or a lora_rank",
    "train": "lower CORPUS.SYSTEM.batch_size or CORPUS.SYSTEM.workers",
}
