"""What every stage does first and last: check settings, measure, tell errors in words."""

import errno
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.costs import measured
from pipeline.errors import PipelineError
from pipeline.gpu_memory import no_room
from pipeline.params import read_params


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
        if (said := no_room(error, Path(sys.argv[0]).stem)) is None:
            raise
        sys.exit(f"\n{name}: {said}\n")


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "\nMake room, then run it again: it goes on where it was."
    return ""
