"""Write files whole or not at all, hash them, and batch items."""

import glob
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

PART = ".part"
# Kernels stamp files with a clock that ticks every 1 to 10 ms.
TICK_NS = 20_000_000
# Under this key a Parquet or safetensors file holds our own metadata, as JSON.
METADATA_KEY = "erc"
# The first bytes of what Git LFS leaves in place of a file that was not fetched.
LFS_HEAD = b"version https://git-lfs"
# A process number says something on its own machine alone, and several may share a folder.
MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary file name beside `path`; renames it to `path` if the block succeeds.

    The temporary name is unique, so that two processes may write the same path at once; the
    last rename wins and every reader sees one whole file. What a process that was killed left of
    the same path is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_orphans(path)
    prefix = f".{path.name}.{MACHINE}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=PART, dir=path.parent)
    os.close(handle)
    part = Path(name)
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
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", suffix=PART, dir=folder.parent
    ) as scratch:
        part = Path(scratch) / "new"
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        part.rename(folder)


def _remove_orphans(path: Path) -> None:
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        if is_orphan(part):
            part.unlink(missing_ok=True)


def is_orphan(part: Path) -> bool:
    """Whether a temporary file was left by a process of this machine that is no more."""
    machine, _, rest = part.name.removesuffix(PART).rpartition(".")[2].partition("-")
    pid = rest.partition("-")[0]
    if machine != MACHINE or not pid.isdecimal():
        return False
    import psutil  # here, as hardly any run meets such a file

    return not psutil.pid_exists(int(pid))


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with LF line ends, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


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
