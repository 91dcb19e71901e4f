"""Write what numpy 1 and numpy 2 read alike, the same bytes every time.

Research code pins Python 3.6 to 3.8 and numpy 1, which does not know numpy 2's names of modules.
"""

import csv
import pickle
import types
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.lib import format as npy

PROTOCOL = 4  # which Python 3.6 reads
Pickler: Any = pickle._Pickler  # the one written in Python: its other cannot be told names


class OldNames(Pickler):  # type: ignore[misc]
    """Pickler that names numpy's modules as numpy 1 did, which numpy 2 knows as well."""

    dispatch: ClassVar[dict[type, Any]] = dict(Pickler.dispatch)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write the name of a function or class."""
        module = getattr(obj, "__module__", None) or ""
        if not module.startswith("numpy._core"):
            super().save_global(obj, name)
            return
        module = module.replace("numpy._core", "numpy.core", 1)
        self.write(pickle.GLOBAL + f"{module}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    for _kind in (types.FunctionType, types.BuiltinFunctionType):
        dispatch[_kind] = save_global


def write_pickle(file: IO[bytes], content: Any) -> None:
    """Pickle plain containers, texts, numbers and arrays."""
    OldNames(file, PROTOCOL).dump(content)


def write_npz(path: Path, members: Mapping[str, np.ndarray]) -> None:
    """Write arrays, those of objects as well, as `numpy.savez` does: stored, dated 1980."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                if array.dtype.hasobject:
                    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(array))
                    write_pickle(file, array)
                else:
                    npy.write_array(file, array, allow_pickle=False)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV of UTF-8 text with its cells as they are; None is an empty cell.

    Its lines end with CRLF, as RFC 4180 has it: Python would not quote a lone CR otherwise.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
