"""Find a corpus in the folder that a user gave, and say what mends a wrong one."""

import os
import re
import shlex
from collections.abc import Callable
from itertools import groupby
from pathlib import Path, PurePosixPath
from zipfile import is_zipfile

from pipeline.base.errors import PipelineError
from pipeline.base.folders import is_folder, names_in, nfc, unlock

SHOWN = 12
ARCHIVE = re.compile(r".+\.(tar|tar\.gz|tgz|zip)", re.IGNORECASE)
# name.tar.gz.aa, name.tar.gz.partaa, name.zip.001, name.tgz.part-1
PART = re.compile(r"(.+\.(?:tar|tar\.gz|tgz|zip)\.?)(?:part)?[-_.]?([a-z]{2}|\d{1,3})", re.I)


def spelled(folder: Path, path: str) -> str:
    """A path below a folder as the disk spells it: a Mac's `é` may be two letters (NFD)."""
    if path.isascii():
        return path
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        place = folder.joinpath(*parts)
        same = () if os.path.lexists(place / part) else names_in(place)
        parts.append(next((name for name in same if nfc(name) == nfc(part)), part))
    return "/".join(parts)


def unpacked(root: Path, is_corpus: Callable[[Path], bool]) -> Path | None:
    """The folder that holds the corpus: `root`, or one in it (`NAME.Raw/NAME.Raw`), else None.

    Two of them side by side are refused.
    """
    level = [root]
    for _ in range(3):
        homes = [folder for folder in level if is_corpus(folder)]
        if len(homes) > 1:
            raise PipelineError(
                f"{root} holds the corpus more than once: {[str(home) for home in homes]}.\n"
                f"  next: point {root} at one of them."
            )
        if homes:
            return homes[0]
        level = [folder / n for folder in level for n in names_in(folder) if is_folder(folder / n)]
    return None


def files_below(
    root: Path, pattern: re.Pattern[str], levels: int = 4
) -> tuple[dict[str, str], int]:
    """Paths below `root` of the files whose names match, by name; and the number of the others.

    Of files of one name that of the highest folder counts, then that of the first in order.
    """
    found: dict[str, str] = {}
    others, folders = 0, [root]
    for _ in range(levels):
        paths = [folder / name for folder in folders for name in names_in(folder)]
        folders = []
        for path in paths:
            if pattern.fullmatch(path.name) and path.name not in found:
                found[path.name] = path.relative_to(root).as_posix()
            elif is_folder(path):
                folders.append(path)
            else:
                others += 1
    return found, others


def wrong_tree(
    root: Path, what: str, expected: str, looked_in: Path | None = None, advice: str = ""
) -> PipelineError:
    """The error for a tree that is not what it should be: found, expected, and what mends it.

    The content of `looked_in`, or else of `root`, is shown; advice that the reader does not know is
    guessed from the file names.
    """
    folder = looked_in or root
    if not root.exists():
        return PipelineError(
            f"{root} {'is a dangling link' if root.is_symlink() else 'does not exist'}, expected "
            f"{expected}.\n  next: link the corpus there: ln -sfn /where/it/is {root}"
        )
    lines = [f"{root} {what}", f"  found: {_listing(folder)}", f"  expected: {expected}"]
    if folder.is_dir() and not is_folder(folder):
        lines[1], advice = "  found: a folder that may not be read", unlock(folder)
    step = advice or _mending(folder) or _recognised(folder)
    step = step or f"point {root} at the whole, unpacked release; what is missing comes from there"
    return PipelineError("\n".join([*lines, f"  next: {step}"]))


def _listing(folder: Path) -> str:
    if folder.is_file():
        return f"a file of {folder.stat().st_size} bytes"
    names = names_in(folder)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{names[:SHOWN]}{more}" if names else "nothing"


def _mending(folder: Path) -> str:
    """The command that makes a tree out of what lies there, empty if no name suggests one."""
    if folder.is_file():
        aside, first = folder, ""
        if not ARCHIVE.fullmatch(folder.name):
            aside = folder.with_name(f"{folder.name}.{'zip' if is_zipfile(folder) else 'tar'}")
            first = f"mv {shlex.quote(str(folder))} {shlex.quote(str(aside))}, then "
        return f"it is a file: {first}{_extract(aside)}, and link the folder that comes out"
    names = names_in(folder)
    joined = [m for m in map(PART.fullmatch, names) if m and not ARCHIVE.fullmatch(m[0])]
    if joined:
        _, parts = next(groupby(joined, key=lambda m: m[1]))
        whole = folder / next(parts)[1].rstrip(".")
        glob = f"{shlex.quote(str(whole))}*"
        return f"join the parts: cat {glob} > {shlex.quote(str(whole))}, then {_extract(whole)}"
    archives = [folder / name for name in names if ARCHIVE.fullmatch(name)]
    return "; ".join(_extract(archive) for archive in archives)


def _recognised(folder: Path) -> str:
    """What the folder is instead, where its names show it."""
    from pipeline.corpora.registry import READERS  # its readers import this module

    for name, reader in READERS.items():
        marks = re.compile(reader.marks, re.IGNORECASE) if reader.marks else None
        if marks and any(map(marks.fullmatch, names_in(folder))):
            return (
                f"this is {reader.title}: point the corpus that reads it here, or set its reader "
                f"to {name}"
            )
    return ""


def _extract(archive: Path) -> str:
    name, folder = shlex.quote(str(archive)), shlex.quote(str(archive.parent))
    if archive.suffix.lower() == ".zip":
        return f"unzip {name} -d {folder}"
    return f"tar -xf {name} -C {folder} (if tar says `Unexpected EOF`, download the archive again)"
