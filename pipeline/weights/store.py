"""The local store of pretrained files, `models/weights/ENCODER/FILE`: verified, never half-written.

`bring` completes an encoder's folder there from, in order: what the user put there, the caches
of torch and HuggingFace on this machine, and the sources of the lock.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock

from pipeline.errors import PipelineError
from pipeline.files import replacing, sha256_file
from pipeline.weights.caches import CachePlace, cache_place
from pipeline.weights.download import SourceError
from pipeline.weights.lock import Lock, LockedEncoder, LockedFile, Role, read_lock
from pipeline.weights.sources import Fetcher

# Writes a file, unverified, or raises SourceError.
Getter = Callable[[Path], None]
# A file that no source gave, and one line per way that was tried.
Failure = tuple[LockedFile, list[str]]


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder whose files lie complete and verified in `folder`."""

    entry: LockedEncoder
    folder: Path


def store_root() -> Path:
    """The store's folder: $ERC_WEIGHTS, else `models/weights` below the working directory."""
    return Path(os.environ.get("ERC_WEIGHTS") or "models/weights")


def bring(
    encoder_name: str,
    store: Path,
    *,
    role: Role | None = None,
    setting: str = "encoder",
    lock: Lock | None = None,
) -> EncoderFiles:
    """Makes an encoder's files present in the store and checks every byte of them.

    Two processes may bring the same encoder at once: the second waits, then finds it there.

    Args:
        encoder_name: A name of the lock.
        store: The store's folder, see `store_root`.
        role: The role the encoder must have; None for any.
        setting: The setting of params.yaml that names it, for errors.
        lock: The lock to go by; None for the committed one.

    Raises:
        PipelineError: If the name is unknown, a file in the store is not the locked one, or a
            file is missing and no source gives it.
    """
    lock = lock or read_lock()
    entry = lock.find(encoder_name, role, setting)
    folder = store / entry.name
    # The lock is taken only to write, so that a complete store may be read-only.
    failures = _complete(entry, folder) if _missing(entry, folder) else []
    if failures:
        raise PipelineError(_failure_text(entry, folder, failures, setting, lock))
    return EncoderFiles(entry, folder)


def _complete(entry: LockedEncoder, folder: Path) -> list[Failure]:
    """Fetches what is missing, one process at a time; returns what no source gave."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            return _fetch_all(_missing(entry, folder), folder)
    except OSError as error:
        raise PipelineError(
            f"Cannot write to the weights store {folder.absolute()}: {error}. Mend that, or name "
            "a folder that can be written in the environment variable ERC_WEIGHTS."
        ) from error


def _missing(entry: LockedEncoder, folder: Path) -> list[LockedFile]:
    """The files that are not in the store; those that are must be the locked ones.

    A wrong file was put there by somebody, as nothing here writes one: it is theirs to remove.
    """
    missing, wrong = [], []
    for file in entry.files:
        path = folder / file.name
        if not path.exists():
            missing.append(file)
        elif reason := _difference(path, file):
            wrong.append(f"  {path.absolute()}: {reason}")
    if wrong:
        raise PipelineError(
            f"Files in the weights store are not those of {entry.name} in the lock:\n"
            + "\n".join(wrong)
            + "\nDelete them, to have them fetched anew, or replace them with the right ones."
        )
    return missing


def _difference(path: Path, file: LockedFile) -> str | None:
    """How a file on disk differs from the locked one, or None."""
    if not path.is_file():
        return "got something that is not a file"
    try:
        got = sha256_file(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if got == file.sha256:
        return None
    return f"got SHA-256 {got} ({path.stat().st_size} bytes), expected {file.sha256}"


def _fetch_all(files: list[LockedFile], folder: Path) -> list[Failure]:
    """Fetches files; returns those that no source gave."""
    if not files:
        return []
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
        fetcher = Fetcher(Path(scratch))
        tried = [(file, _fetch_one(file, folder / file.name, fetcher)) for file in files]
    return [(file, reasons) for file, reasons in tried if reasons]


def _fetch_one(file: LockedFile, path: Path, fetcher: Fetcher) -> list[str]:
    """Tries every way in turn; returns why each failed, or nothing once one gave the file."""
    reasons: list[str] = []
    for label, get in _ways(file, fetcher):
        try:
            with replacing(path) as part:
                get(part)
                if difference := _difference(part, file):
                    print(f"warning: not used, {label}: {difference}", file=sys.stderr)
                    raise SourceError(difference)
        except SourceError as error:
            reasons.append(f"{label}: {error}")
        else:
            print(f"{path}: from {label}", file=sys.stderr)
            return []
    return reasons


def _ways(file: LockedFile, fetcher: Fetcher) -> Iterator[tuple[str, Getter]]:
    """The caches of all the file's sources, then the sources, each with its name for messages."""
    for place in filter(None, map(cache_place, file.sources)):
        yield place.label, partial(_copy_cached, place)
    for source in file.sources:
        yield str(source), partial(fetcher.fetch, source, file)


def _copy_cached(place: CachePlace, destination: Path) -> None:
    if place.path is None:
        raise SourceError("not there")
    try:
        shutil.copyfile(place.path, destination)
    except OSError as error:
        raise SourceError(str(error)) from error


def _failure_text(
    entry: LockedEncoder, folder: Path, failures: list[Failure], setting: str, lock: Lock
) -> str:
    lines = [f"No source gave {len(failures)} of the {len(entry.files)} files of {entry.name}:"]
    for file, reasons in failures:
        lines.append(f"  {file.name}")
        lines += [f"    tried {reason}" for reason in reasons]
        lines.append(f"    put it at {(folder / file.name).absolute()}")
        lines.append(f"    with SHA-256 {file.sha256}")
    others = [name for name in lock.names(entry.role) if name != entry.name]
    advice = "Run this again with a connection, or put the files where it says above"
    if others:
        advice += f", or set {setting} in params.yaml to another encoder: {', '.join(others)}"
    lines.append(f"{advice}.")
    return "\n".join(lines)
