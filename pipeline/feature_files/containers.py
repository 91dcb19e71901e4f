"""Read files of every kind that features come in, each into a tree of plain values and arrays."""

import json
import math
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.lib import format as npy

from pipeline.base.display import short_name
from pipeline.base.errors import PipelineError
from pipeline.base.files import LFS_HEAD
from pipeline.feature_files.refusal import CONVERT, UnusableError
from pipeline.feature_files.unpickling import array_of, plain, unpickle

LARGEST = 4 * 2**30  # bytes of a file, and of what a packed one unpacks to
# A packed file unpacks to less than the one, or to less than the other times its size.
UNPACKED, RATIO = 2**28, 100
LARGEST_JSON = 2**30
# Text, its characters and what is made of them take this many times the size of the file.
JSON_IN_MEMORY = 3
CONTAINER = 400  # bytes of an empty one, and of what is made of it
AGAIN = "copy or download it again, and compare its size with the original's"
OTHERS = {
    b"\x89HDF": ("HDF5", CONVERT),
    b"\x1f\x8b": ("gzip", "unpack it: gunzip FILE"),
    b"BZh": ("bzip2", "unpack it: bunzip2 FILE"),
    b"PAR1": ("Parquet", "lay it beside utterances.csv, and name the folder"),
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9": ("of torch before 1.6", CONVERT),
    LFS_HEAD: ("a Git-LFS pointer", "fetch the file itself: git lfs pull"),
}


def load(path: Path) -> Any:
    """Read a file by what it holds, whatever its name.

    Raises:
        PipelineError: It is damaged, too large, of no known kind, or asks for anything but data.
    """
    try:
        reader = _reader(path)
        _refuse_too_large(path.stat().st_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(path)
    except UnusableError as error:
        raise error_for(path, error) from None
    except MemoryError:
        raise error_for(path, UnusableError("it does not fit into memory", "free some")) from None
    except EOFError:
        raise error_for(path, UnusableError("it is cut short", AGAIN)) from None
    except RecursionError:
        raise error_for(
            path, UnusableError("its containers are nested too deep", CONVERT)
        ) from None
    except OSError as error:
        why = f"it cannot be read: {error.strerror or error}"
        raise error_for(path, UnusableError(why, f"ls -l {path}")) from None
    except Exception as error:  # the many that readers raise of bytes that are none of theirs
        why = f"it is damaged ({type(error).__name__}: {short_name(str(error), 80)})"
        raise error_for(path, UnusableError(why, AGAIN)) from None


def error_for(path: Path, error: UnusableError) -> PipelineError:
    """The error that a user reads."""
    return PipelineError(f"{path} cannot be used: {error}.\n  next: {error.advice}")


def _reader(path: Path) -> Callable[[Path], Any]:
    if not path.is_file():
        what = "is not a regular file" if path.exists() else "does not exist"
        raise UnusableError(f"it {what}", f"ls -l {path.parent}")
    with path.open("rb") as file:
        head = file.read(64)
    for magic, (name, advice) in OTHERS.items():
        if head.startswith(magic):
            raise UnusableError(f"it is {name}", advice)
    if head.startswith(npy.MAGIC_PREFIX):
        return _npy
    if head.startswith(b"PK\x03\x04"):
        return _zip
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"):
        return _json
    if head[:1] in (b"\x80", b"(", b"]", b"}", b"c", b"l", b"d"):  # the others: protocols 0 and 1
        return _pickle
    if not head:
        raise UnusableError("it is empty", AGAIN)
    raise UnusableError(
        f"its first bytes are {head[:8]!r}, expected a pickle, npy, npz, JSON or a file of torch",
        "name the file of features itself",
    )


def _refuse_too_large(size: int, packed: int | None = None) -> None:
    """Refuse what would not fit before a byte of it is read."""
    if size > LARGEST:
        raise UnusableError(
            f"it holds {size / 2**30:.1f} GiB, at most {LARGEST / 2**30:.0f} are read"
        )
    if packed is not None and size > max(UNPACKED, RATIO * packed):
        raise UnusableError(f"its {packed} bytes unpack to {size}, which no file of features does")
    if size > (there := psutil.virtual_memory().available):
        raise UnusableError(
            f"it needs {size / 2**30:.1f} GiB of memory, {there / 2**30:.1f} are available",
            "close other programs, or use a machine with more memory",
        )


def _pickle(path: Path) -> Any:
    with path.open("rb") as file:
        return unpickle(file, path.stat().st_size)


def _npy(path: Path) -> Any:
    with path.open("rb") as file:
        return _array(file, path.stat().st_size)


def _array(file: Any, size: int) -> Any:
    """An array in numpy's own form; objects in it are a pickle, which goes to our reader."""
    version = npy.read_magic(file)
    headers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in headers:
        raise UnusableError(f"it is an npy file of version {version}", CONVERT)
    shape, fortran, kind = headers[version](file)
    left = size - file.tell()
    if kind.names or kind.subdtype or kind.kind not in "biufSUO" or not kind.itemsize:
        raise UnusableError(f"it holds an array of type {short_name(str(kind), 60)}", CONVERT)
    if kind.hasobject:
        return unpickle(file, left)
    need = kind.itemsize * math.prod(shape)
    if need > left:
        raise EOFError
    return array_of(shape, kind, file.read(need), "F" if fortran else "C")


def _zip(path: Path) -> Any:
    """The members of an npz by name, or what torch saved."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _refuse_too_large(sum(member.file_size for member in members), path.stat().st_size)
        if any(member.filename.endswith("/data.pkl") for member in members):
            return _torch(path)
        if not all(member.filename.endswith(".npy") for member in members):
            raise UnusableError(
                "it is a zip file of other files", "unpack it, and name what is in it"
            )
        tree = {}
        for member in members:
            with archive.open(member) as file:
                tree[member.filename.removesuffix(".npy")] = _array(file, member.file_size)
        return tree


def _torch(path: Path) -> Any:
    import torch  # which takes seconds

    largest = path.stat().st_size

    def tensor(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise UnusableError(f"it holds an object of type {type(value).__name__}", CONVERT)
        if value.numel() * value.element_size() > largest:
            raise UnusableError("it holds a tensor that is larger than the file", CONVERT)
        value = value.detach().resolve_conj().resolve_neg()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()

    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        why = f"torch finds {named[1]} in it" if named else f"torch: {str(error).splitlines()[0]}"
        raise UnusableError(f"{short_name(why, 200)}; nothing was run", CONVERT) from None
    return plain(tree, tensor)


def _json(path: Path) -> Any:
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise UnusableError(f"it is JSON of {size} bytes, at most {LARGEST_JSON} are read", CONVERT)
    text = path.read_text("utf-8-sig")
    _refuse_too_large(JSON_IN_MEMORY * size + CONTAINER * (text.count("[") + text.count("{")))
    try:
        tree = json.loads(text, object_hook=_with_vectors)
    except json.JSONDecodeError:
        if path.suffix != ".jsonl":
            raise
        lines = filter(str.strip, text.splitlines())  # an object in each
        tree = [json.loads(line, object_hook=_with_vectors) for line in lines]
    return plain(tree, _nothing)


def _nothing(value: Any) -> Any:
    raise UnusableError(f"it holds an object of type {type(value).__name__}", CONVERT)


def _with_vectors(found: dict[str, Any]) -> dict[str, Any]:
    """Lists of numbers as float32 arrays, as soon as each is read: a Python float is 32 bytes."""
    for key, value in found.items():
        if type(value) is list and value and set(map(type, value)) <= {float, int}:
            found[key] = np.array(value, np.float32)
    return found


def is_array(value: Any, kinds: str, *ranks: int) -> bool:
    """Whether a value is an array of one of these kinds of type (`iuf`: numbers) and ranks."""
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.ndim in ranks
