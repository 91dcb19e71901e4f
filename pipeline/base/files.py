"""Write files whole or not at all, hash them, and batch items."""

import errno
import glob
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

if sys.platform != "win32":
    import fcntl

PART = ".part"
# Kernels stamp files with a clock that ticks every 1 to 10 ms.
TICK_NS = 20_000_000
# Under this key a Parquet or safetensors file holds our own metadata, as JSON.
METADATA_KEY = "erc"
# The first bytes of what Git LFS leaves in place of a file that was not fetched.
LFS_HEAD = b"version https://git-lfs"
DAY = 86_400  # seconds
FULL = (errno.ENOSPC, errno.EDQUOT)
# In the environment of work that another process, which no longer answers, may still hold locked.
TAKE_OVER = "ERC_TAKE_OVER"
BOOT = Path("/proc/sys/kernel/random/boot_id")


def _machine() -> str:
    """A short name of this machine until it is started again; containers often share a name."""
    boot = BOOT.read_text(encoding="ascii") if BOOT.exists() else ""
    return hashlib.sha256(f"{platform.node()}{boot}".encode()).hexdigest()[:8]


# Several machines may share a folder.
MACHINE = _machine()


@contextmanager
def replacing(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Yields a temporary file name beside `path`; renames it to `path` if the block succeeds.

    The name is unique, so that of two processes that write the same path the last rename wins and
    every reader sees one whole file. What a killed process left of the path is removed first.

    Args:
        path: What is written.
        scratch: A folder for the temporary file instead, on the same disk, which exists. What
            killed processes left there is not looked for: listing a large folder takes longer than
            writing a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path, folder=False, scratch=scratch) as part:
        try:
            yield part
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside `folder`; puts it in its place if the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder.name, folder.parent) as scratch:
        part = scratch / "new"
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(scratch / "old")
        part.rename(folder)


@contextmanager
def scratch_folder(name: str, where: Path | None = None) -> Iterator[Path]:
    """Yields an empty folder that is deleted after the block, or by the next one of that name.

    It lies `where`, or else in the system's folder of temporary files.
    """
    with _temporary((where or Path(tempfile.gettempdir())) / name, folder=True) as scratch:
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _temporary(path: Path, *, folder: bool, scratch: Path | None = None) -> Iterator[Path]:
    """Makes a file or folder that is locked as long as this process lives."""
    orphans = f".{glob.escape(path.name)}.*{PART}"
    for orphan in path.parent.glob(orphans) if scratch is None else ():
        remove_orphan(orphan)
    prefix = f".{path.name}.{MACHINE}-"
    while True:
        part = Path(tempfile.mktemp(PART, prefix, scratch or path.parent))
        part.mkdir(0o700) if folder else part.touch(0o600, exist_ok=False)
        with locked(part):
            if part.exists():  # else it was taken for an orphan before it was locked
                with _full_disk_named(path):
                    yield part
                return


@contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    """Raises an OSError with the path, whatever a library makes of a full disk."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        for number in FULL:
            in_words = os.strerror(number) in str(error)
            if in_words or getattr(error.__context__, "errno", None) == number:
                raise OSError(number, os.strerror(number), str(path)) from error
        raise


@contextmanager
def locked(path: Path, *, wait: bool = True, note: str = "") -> Iterator[bool]:
    """Holds a file's or folder's lock; the system ends it with the process, however that ends.

    A `note` is printed before another process that holds it is waited for.

    Yields:
        Whether it is held: False where another process holds it and `wait` is not set or
        ERC_TAKE_OVER is, where the file system has no locks, and where the path cannot be opened.
    """
    try:
        # Network file systems lock what is open for writing, which a folder cannot be.
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        yield _lock(handle, wait and TAKE_OVER not in os.environ, note)
    finally:
        os.close(handle)


def _lock(handle: int, wait: bool, note: str) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait:
            sys.stderr.write(note)
            sys.stderr.flush()
            fcntl.flock(handle, fcntl.LOCK_EX)
        return wait
    except OSError:
        return False
    return True


def remove_orphan(part: Path) -> bool:
    """Removes a temporary file or folder whose process is no more; returns whether it was one.

    A lock tells, as process numbers say nothing in another container. Some network file systems
    keep locks to one machine: there what another machine left is an orphan after a day.
    """
    try:
        ours = part.name.removesuffix(PART).rpartition(".")[2].startswith(f"{MACHINE}-")
        if part.is_symlink() or not (ours or time.time() - part.stat().st_mtime > DAY):
            return False
        with locked(part, wait=False) as orphan:
            if orphan and part.is_dir():
                shutil.rmtree(part)
            elif orphan:
                part.unlink()
        return orphan
    except OSError:
        return False


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with LF line ends, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON, for readable diffs."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_state(path: Path) -> tuple[int, ...]:
    """Size, inode and times of change of a file: other bytes give another state.

    Programs set the time of the content back (`cp -p`, `rsync -t`), but not that of the inode. The
    clock of a file system ticks; a change within the tick of the last one would not show, so this
    waits until the tick is over.
    """
    while 0 <= time.time_ns() - (stat := path.stat()).st_ctime_ns < TICK_NS:
        time.sleep(TICK_NS / 1e9)
    return stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns


T = TypeVar("T")


def chunked(items: Iterable[T], length: int) -> Iterator[list[T]]:
    """Lists of `length` items, the last one shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, length)):
        yield chunk
