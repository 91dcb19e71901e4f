"""What experiments and commits left behind, read from DVC and git without a checkout."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder
from pipeline.base.lockfile import LOCK, digest, stages_of
from pipeline.records.predictions import Predictions, read_predictions

# Gives the bytes of a file of a revision: a commit, branch, tag or experiment, and the file's path.
Reader = Callable[[str, Path], bytes]


def dvc_reader() -> Reader:
    """Reads from DVC's cache, and what git keeps from git.

    Raises:
        PipelineError: On reading: there is no such revision, it has no such file, or DVC's cache
            no longer holds it.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    system = cache(lambda revision: DVCFileSystem(".", rev=revision))  # takes a second

    def read(revision: str, path: Path) -> bytes:
        try:
            content: bytes = system(revision).read_bytes(path.as_posix())
        except RevError as error:
            raise PipelineError(
                f"There is no revision {revision!r}: expected a commit, branch or tag of git "
                "(`git log --oneline`), or an experiment's name (`dvc exp list --all-commits`)."
            ) from error
        except (DvcException, OSError) as error:
            why = _why_absent(system(revision), path, error)
            raise PipelineError(f"{path} cannot be read from {revision}: {why}") from error
        return content

    return read


def _why_absent(files: Any, path: Path, error: Exception) -> str:
    """Why DVC's file system of a revision has no content of a file."""
    if not files.exists(path.as_posix()):
        return (
            "no stage there makes it, and git does not keep it. Was its corpus run there? "
            "`python -m pipeline baseline` keeps the results as they are; change something, run, "
            "and compare again."
        )
    known = files.info(path.as_posix()).get("dvc_info")
    if known is None:
        return str(error)
    if "md5" not in known:
        return "its dvc.lock does not know it, so the stage that makes it has not run there."
    return (
        "DVC's cache does not hold it. If it was pushed, `dvc pull` brings it; if not, it is made "
        "again by `dvc exp remove NAME` and the same command for an experiment, by `git checkout` "
        "and `dvc repro` for a commit."
    )


@dataclass(frozen=True)
class Outcome:
    """What one revision says of a corpus.

    Attributes:
        predictions: The test utterances, and what each model says of them.
        modalities: That its model sees.
        learned: Labelled utterances of the first fold's `train` and `valid`.
    """

    predictions: Predictions
    modalities: tuple[str, ...]
    learned: Mapping[str, int]


def read_outcome(read: Reader, revision: str, corpus: str) -> Outcome:
    """Reads what a revision says of a corpus' test split.

    Raises:
        PipelineError: One of its files cannot be read.
    """
    predictions = read_tested(read, revision, corpus)
    about = json.loads(read(revision, paths.metrics(corpus, "run.json")))
    counts = about["labelled_utterances"]
    first = counts if "train" in counts else next(iter(counts.values()))
    return Outcome(
        predictions=predictions,
        modalities=tuple(about["features"]),
        learned={split: sum(first[split].values()) for split in ("train", "valid")},
    )


def read_tested(read: Reader, revision: str, corpus: str) -> Predictions:
    """Reads what a revision's models say of a corpus' test utterances.

    Raises:
        PipelineError: The file cannot be read, or is of an earlier training than the revision's.
    """
    with fetched(read, revision, paths.predictions(corpus)) as file:
        predictions = read_predictions(file)
    stages = stages_of(read(revision, LOCK).decode())
    trained = digest(stages, f"train@{corpus}", "outs", paths.epochs(corpus))
    evaluated = digest(stages, f"evaluate@{corpus}", "deps", paths.epochs(corpus))
    # An experiment that ends at `train` still has the predictions of the commit it started from.
    if trained != evaluated:
        raise PipelineError(
            f"{revision}: the predictions of {corpus} are of another training than its models. "
            f"`evaluate@{corpus}` has not run since. Is it a point of a search? Of those test is "
            "read for the chosen one alone."
        )
    return predictions


@contextmanager
def fetched(read: Reader, revision: str, path: Path) -> Iterator[Path]:
    """A copy of a revision's file, for what reads files."""
    with scratch_folder("erc-compare") as folder:
        copy = folder / path.name
        copy.write_bytes(read(revision, path))
        yield copy
