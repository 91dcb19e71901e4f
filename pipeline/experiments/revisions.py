"""Read what experiments and commits left behind, from DVC and git, without a checkout."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder
from pipeline.base.lockfile import LOCK, digest, stages_of
from pipeline.base.paths import BASELINE
from pipeline.records.predictions import Predictions, read_predictions

WORKSPACE = "workspace"  # DVC's own word for the files as they are
# Gives the bytes of a file of a revision: a commit, branch, tag or experiment, and the file's path.
Reader = Callable[[str, Path], bytes]


def dvc_reader() -> Reader:
    """Read from DVC's cache, and what git keeps from git.

    Raises:
        PipelineError: On reading: there is no such revision, it has no such file, or DVC's cache
            no longer holds it.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    opened = cache(lambda revision: DVCFileSystem(".", rev=revision))  # takes a second

    def read(revision: str, path: Path) -> bytes:
        try:
            content: bytes = opened(revision).read_bytes(path.as_posix())
        except RevError as error:
            raise PipelineError(
                f"There is no revision {revision!r}: expected a commit, branch or tag of git "
                "(`git log --oneline`), or an experiment's name (`dvc exp list --all-commits`)."
            ) from error
        except (DvcException, OSError) as error:
            why = _why_absent(opened(revision), path, error)
            raise PipelineError(f"{path} cannot be read from {revision}: {why}") from error
        return content

    return read


def _why_absent(files: Any, path: Path, error: Exception) -> str:
    """Why DVC's file system of a revision has no content of a file."""
    if not files.exists(path.as_posix()):
        return (
            "no stage there makes it, and git does not keep it. Were its corpus and its system run "
            "there? (Commits from before there were systems keep other files.) "
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


def read_system(read: Reader, revision: str, corpus: str, system: str) -> Predictions:
    """Read a revision's predictions of a system for a corpus' test utterances.

    Args:
        read: Reads a revision's files.
        revision: `WORKSPACE` for the files as they are.
        corpus: Which.
        system: Which.

    Raises:
        PipelineError: The file cannot be read, or is of an earlier training than the revision's.
    """
    path = paths.predictions(corpus, system)
    if revision == WORKSPACE:
        return read_predictions(path)
    with fetched(read, revision, path) as file:
        predictions = read_predictions(file)
    _refuse_stale(read, revision, corpus, system)
    return predictions


def _refuse_stale(read: Reader, revision: str, corpus: str, system: str) -> None:
    stages, epochs = stages_of(read(revision, LOCK).decode()), paths.epochs(corpus, system)
    trained = digest(stages, f"train@{corpus}-{system}", "outs", epochs)
    evaluated = digest(stages, f"evaluate@{corpus}-{system}", "deps", epochs)
    # An experiment that ends at `train` still has the predictions of the commit it started from.
    if trained != evaluated:
        raise PipelineError(
            f"{revision}: the predictions of {system} on {corpus} are of another training than its "
            f"models. `evaluate@{corpus}-{system}` has not run since. Is it a point of a search? "
            "Of those test is read for the chosen one alone."
        )


def kept() -> str | None:
    """The digest of the baseline of the commit that is checked out; None if it has none."""
    from dvc.repo import Repo

    with Repo() as repo:
        digest: str | None = dict(*repo.experiments.ls().values()).get(BASELINE)
    return digest


@contextmanager
def fetched(read: Reader, revision: str, path: Path) -> Iterator[Path]:
    """A copy of a revision's file, for what reads files."""
    with scratch_folder("erc-compare") as folder:
        copy = folder / path.name
        copy.write_bytes(read(revision, path))
        yield copy
