"""Fetch an encoder's files, and install them as an encoder folder.

The store of this machine, `models/weights/ENCODER/FILE`, is not part of the DVC graph. A file in it
was put there by the user, copied from the caches of torch or Hugging Face, or fetched from a
source; it is checked whenever it is used.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder
from pipeline.base.settings import Role
from pipeline.weights.contents import EncoderFiles, local_encoder, repository_encoder
from pipeline.weights.folder import record_of, write_record
from pipeline.weights.lock import KnownEncoder, Lock, of_role, read_lock
from pipeline.weights.names import LocalFolder, Repository, parse
from pipeline.weights.sources import Files, SourceError, deliver


def store_root() -> Path:
    """The store's folder: $ERC_WEIGHTS, else `models/weights` below the working directory."""
    return Path(os.environ.get("ERC_WEIGHTS") or "models/weights")


def store_folder(name: str, store: Path) -> Path:
    """The folder of an encoder in the store, by its name in params.yaml."""
    return store / name.replace("/", "--").replace("@", "--")


def install(
    name: str, role: Role, folder: Path, store: Path, setting: str, *, lock: Lock | None = None
) -> None:
    """Fetch an encoder and write its encoder folder, whole or not at all; the same bytes each time.

    The encoder is named in params.yaml as `names` has it, by a setting such as
    `meld.visual.encoder`. Unknown encoders and wrong files are refused.
    """
    encoder = fetch(name, role, store, setting, lock=lock)
    with replacing_folder(folder) as part:
        for file in encoder.names:
            (part / file).parent.mkdir(parents=True, exist_ok=True)
            # A copy, not a link: DVC makes its outputs read-only or links them elsewhere.
            shutil.copyfile(encoder.folder / file, part / file)
        write_record(part, record_of(part, encoder.provenance))


def fetch(
    name: str, role: Role, store: Path, setting: str, *, lock: Lock | None = None
) -> EncoderFiles:
    """Make sure that an encoder's files are on this machine and the right ones; see `install`.

    Two processes may fetch the same encoder at once: the second waits, then finds it there.
    """
    lock = lock or read_lock()
    encoder, folder = parse(name, role, setting, lock), store_folder(name, store)
    if isinstance(encoder, LocalFolder):
        return local_encoder(name, encoder, role, setting)
    if isinstance(encoder, Repository):
        return repository_encoder(encoder, role, folder, setting)
    if _missing(encoder, folder):  # so that a complete store may be read-only
        others = [other for other in of_role(lock, role) if other != name]
        advice = f"Or set {setting} in params.yaml to another encoder: {', '.join(others)}"
        with _locked(folder):
            _complete(encoder, folder, advice if others else "")
    return EncoderFiles(encoder, folder, encoder.files)


def _missing(encoder: KnownEncoder, folder: Path) -> Files:
    """The files that are not in the store; refuse another one that is there.

    Somebody put it there, as nothing here writes a wrong file: it is theirs to remove.
    """
    there = [name for name in encoder.files if (folder / name).exists()]
    wrong = [
        f"  {(folder / name).absolute()}: {difference}"
        for name in there
        if (difference := encoder.files[name].difference(folder / name))
    ]
    if wrong:
        raise PipelineError(
            f"Files in the weights store are not those of {encoder.name}:\n"
            + "\n".join(wrong)
            + "\nDelete them, to have them fetched again, or replace them with the right ones."
        )
    return {name: file for name, file in encoder.files.items() if name not in there}


def _complete(encoder: KnownEncoder, folder: Path, advice: str) -> None:
    """Fetch what is missing from the sources in turn."""
    missing, reasons = _missing(encoder, folder), []
    for source in encoder.sources:
        if missing:
            try:
                deliver(source, missing, folder)
                say(f"{encoder.name}: from {source}", error=True)
            except SourceError as error:
                reasons.append(f"  {source}: {error}")
            missing = {name: file for name, file in missing.items() if not (folder / name).exists()}
    if missing:
        lines = [
            f"Could not get {len(missing)} of the {len(encoder.files)} files of {encoder.name}:",
            *reasons,
            "Run this again with a connection, or put these files there yourself:",
            *(f"  {(folder / n).absolute()} (SHA-256 {f.sha256})" for n, f in missing.items()),
            advice,
        ]
        raise PipelineError("\n".join(lines).rstrip())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write to a folder of the store."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            yield
    except OSError as error:
        raise PipelineError(
            f"Cannot write to the weights store {folder.absolute()}: {error}. Fix that, or name "
            "a folder that can be written in the environment variable ERC_WEIGHTS."
        ) from error
