"""The local store of pretrained files, `models/weights/ENCODER/FILE`: verified, never half-written.

`bring` completes an encoder's folder there from, in order: what the user put there, the caches
of torch and HuggingFace on this machine, and the sources of the lock or of the publisher. What
the lock does not know is pinned when it comes: its digests are kept beside its files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Role
from pipeline.weights import hub, zoo
from pipeline.weights.download import SourceError
from pipeline.weights.fetching import failure_text, fetch_all, missing_files
from pipeline.weights.local import local_entry
from pipeline.weights.lock import EncoderEntry, Lock, PinnedEncoder, read_lock
from pipeline.weights.pin import pinned, read_pin, write_pin
from pipeline.weights.reference import (
    HubRevision,
    LocalFolder,
    Published,
    TorchWeights,
    parse,
    store_folder,
)


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder whose files lie complete and verified in `folder`."""

    entry: PinnedEncoder
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
    """Makes an encoder's files present and checks every byte of them.

    Two processes may bring the same encoder at once: the second waits, then finds it there.

    Args:
        encoder_name: Any of the forms of `reference.parse`.
        store: The store's folder, see `store_root`.
        role: The role the encoder must have; None for any entry of the lock.
        setting: The setting of params.yaml that names it, for errors.
        lock: The lock to go by; None for the committed one.

    Raises:
        PipelineError: If the name is unknown, a file is not the right one, or a file is missing
            and no source gives it.
    """
    lock = lock or read_lock()
    reference = parse(encoder_name, role, setting, lock)
    if isinstance(reference, LocalFolder):
        assert role is not None
        return EncoderFiles(local_entry(reference, role, setting), reference.folder)
    folder = store / store_folder(reference)
    if isinstance(reference, TorchWeights | HubRevision):
        assert role is not None
        entry = read_pin(folder) or _first(reference, role, folder, setting)
    else:
        entry = reference
    others = [name for name in lock.names(entry.role) if name != entry.name]
    # The lock is taken only to write, so that a complete store may be read-only.
    if missing_files(entry, folder):
        with _writing(folder):
            _complete(entry, folder, setting, others)
    return EncoderFiles(entry, folder)


def _first(reference: Published, role: Role, folder: Path, setting: str) -> PinnedEncoder:
    """Brings an encoder that is not here yet by its publisher's digests, and pins it."""
    with _writing(folder):
        if pin := read_pin(folder):
            return pin
        entry = _announced(reference, role, setting)
        _complete(entry, folder, setting, [])
        pin = pinned(entry, folder)
        write_pin(folder, pin)
        return pin


def _announced(reference: Published, role: Role, setting: str) -> EncoderEntry:
    if isinstance(reference, TorchWeights):
        return zoo.announced(reference.name)
    try:
        return hub.announced(reference.repo, reference.revision, role)
    except SourceError as error:
        name = f"{reference.repo}@{reference.revision}"
        raise PipelineError(
            f"{setting}: the HuggingFace hub does not say what is in {name}: {error}\nRun this "
            "again with a connection, or set it to a folder that holds config.json, "
            "model.safetensors and what its tokenizer or feature extractor needs."
        ) from error


def _complete(entry: EncoderEntry, folder: Path, setting: str, others: list[str]) -> None:
    failures = fetch_all(missing_files(entry, folder), folder)
    if failures:
        raise PipelineError(failure_text(entry, folder, failures, setting, others))


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Makes an encoder's folder and lets one process at a time write to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            yield
    except OSError as error:
        raise PipelineError(
            f"Cannot write to the weights store {folder.absolute()}: {error}. Mend that, or name "
            "a folder that can be written in the environment variable ERC_WEIGHTS."
        ) from error
