"""Look into folders of others, and read their annotation files."""

import os
import re
import shlex
import unicodedata
from functools import cache
from pathlib import Path

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.files import LFS_HEAD

LARGEST = 2**28  # bytes of an annotation file; the published ones have some megabytes at most
SURROGATE = re.compile("[\ud800-\udfff]")  # Python's stand-in for a byte that is not UTF-8


def is_folder(path: Path) -> bool:
    """Whether a folder is there that may be read; one that may not (`lost+found`) is told."""
    try:
        if not path.is_dir():
            return False
    except OSError:  # what holds it may not be searched
        return False
    readable = os.access(path, os.R_OK | os.X_OK)
    if not readable:
        _tell(f"{path} may not be read and is passed over; if needed: {unlock(path)}")
    return readable


@cache
def _tell(text: str) -> None:
    """Print a note once, as a folder is looked into often."""
    say(f"note: {text}", error=True)


def unlock(folder: Path) -> str:
    """The command that lets a user read a folder."""
    return f"chmod u+rx {shlex.quote(str(folder))}"


def is_file(path: Path) -> bool:
    """Whether a regular file is there, as far as that can be seen."""
    try:
        return path.is_file()
    except OSError:
        return False


def names_in(folder: Path) -> list[str]:
    """Names in a folder that may be read, in UTF-8, sorted, without what macOS leaves behind."""
    if not is_folder(folder):
        return []
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith(("._", ".DS_Store")))
    if odd := [name for name in names if SURROGATE.search(name)]:
        _tell(f"{folder}: names that are not UTF-8 are passed over ({len(odd)}): {odd[0]}; rename")
    return [name for name in names if name not in odd]


def nfc(text: str) -> str:
    """Text in which each letter with its accents is one character, where there is such a one."""
    return unicodedata.normalize("NFC", text)


def read_bytes(path: Path) -> bytes:
    """The bytes of an annotation file; refuse pipes, huge files and Git-LFS pointers."""
    try:
        if not path.is_file():  # a pipe or a device would be read for ever
            raise PipelineError(f"{path} is not a regular file, expected one; take it away.")
        if (size := path.stat().st_size) > LARGEST:
            raise PipelineError(f"{path} has {size} bytes, expected annotation: at most {LARGEST}.")
        data = path.read_bytes()
    except OSError as error:
        raise PipelineError(
            f"{path} cannot be read: {error.strerror}; `ls -ld` shows who may, `chmod` changes it."
        ) from error
    if data.startswith(LFS_HEAD):
        raise PipelineError(
            f"{path} holds a Git-LFS pointer, expected the file itself.\n"
            f"  next: git -C {shlex.quote(str(path.parent))} lfs pull"
        )
    return data
