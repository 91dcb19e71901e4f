"""Read pickles without running anything in them: numbers, texts, containers and numpy's arrays.

A pickle is a program that names functions and calls them. Here a name is looked up in a table of
the few that files of features need; any other is refused by its name. numpy's own functions take
shapes and flags from the file unchecked, so stand-ins collect them, and an array is a view of bytes
whose number was checked.
"""

import math
import pickle
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import psutil

from pipeline.base.display import short_name
from pipeline.feature_files.refusal import CONVERT, UnusableError

MOST_STEPS = 50_000_000
STEPS_BETWEEN = 2**20  # after how many the memory is looked at
SPARE = 2**28  # bytes of memory that are left to others
COPIES = 8  # of the file, that calls in it may make
DEEPEST = 100
MOST_PARTS = 10**9  # of a tree, those counted again that stand in it more than once
WIDEST = 2**31
INTEGERS = 2**63
TYPES = re.compile(r"b1|[iu][1248]|f(2|4|8|12|16)|[SU][1-9][0-9]{0,6}|O[48]?")
LARGEST_CHARACTER = 0x10FFFF
LARGEST_TEXTS = 2**26  # bytes of an array of them, which four times as many are made of


def refused(why: str) -> UnusableError:
    """The error for a pickle that asks for more than a feature file needs."""
    return UnusableError(why, CONVERT)


@dataclass(frozen=True, eq=False)
class Named:
    """Stands on the reader's stack for a function or class that a pickle names."""

    name: str
    call: Callable[..., Any] | None = None


class Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name, self.order = name, "|"

    def build(self, state: Any) -> None:
        """Take the byte order."""
        if type(state) is not tuple or len(state) < 5 or any(x is not None for x in state[2:5]):
            raise refused("it holds an array of records (structured dtype)")
        if state[1] not in ("<", ">", "|", "="):
            raise refused("it holds an array of an unknown byte order")
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        """The type itself."""
        if type(self.name) is not str or not TYPES.fullmatch(self.name):
            name = self.name if type(self.name) is str else type(self.name).__name__
            raise refused(f"it holds an array of type {short_name(name)}")
        return np.dtype(object if self.name[0] == "O" else self.order + self.name)


class Array:
    """Stands for numpy.ndarray."""

    def __init__(self, content: Any = None) -> None:
        self.content = content
        self.shape: Any = None  # only of an array of objects, which may still be filled

    def build(self, state: Any) -> None:
        """Take shape, type and bytes."""
        _, shape, dtype, fortran, raw = state
        kind = _numpy(dtype)
        if kind.hasobject:
            self.content, self.shape = raw, shape
        else:
            self.content = array_of(shape, kind, raw, "F" if fortran else "C")


def _numpy(dtype: Any) -> np.dtype[Any]:
    if type(dtype) is not Dtype:
        raise refused("it holds an array without a type")
    return dtype.numpy()


def array_of(shape: Any, kind: np.dtype[Any], raw: Any, order: Literal["C", "F"] = "C") -> Any:
    """An array of checked bytes, in the byte order of this machine; a view where it has that."""
    count = _count(shape)
    if isinstance(raw, str):  # bytes of Python 2, read as Latin-1
        raw = raw.encode("latin1")
    if len(raw) != (need := kind.itemsize * count):
        raise refused(f"it holds an array of {len(raw)} bytes whose shape needs {need}")
    if kind.kind == "U" and len(raw):
        characters = np.ndarray(len(raw) // 4, kind.byteorder.replace("|", "=") + "u4", raw)
        if characters.max() > LARGEST_CHARACTER:
            raise refused("it holds an array of texts with characters that do not exist")
    array = np.ndarray(shape, kind, raw, order=order) if len(raw) else np.zeros(shape, kind)
    if kind.kind == "S":
        if len(raw) > LARGEST_TEXTS:
            raise refused(f"it holds an array of {len(raw)} bytes of texts")
        return np.char.decode(array, "utf-8", "replace")
    if kind.kind == "b":
        return array.view(np.uint8) != 0
    if kind.kind == "f" and kind.itemsize > 8:
        return array.astype(np.float64)
    return array if kind.isnative else array.astype(kind.newbyteorder("="))


def _count(shape: Any) -> int:
    if type(shape) is not tuple or any(type(n) is not int or not 0 <= n < WIDEST for n in shape):
        raise refused("it holds an array of a shape that none has")
    return math.prod(shape)


def _nested(items: Any, shape: Any) -> Any:
    """An array of objects as lists in lists."""
    if type(items) is not list or len(items) != _count(shape):
        raise refused("it holds an array of objects that do not fit its shape")
    if not items or not shape:
        return items[0] if items else []
    for width in reversed(shape[1:]):
        items = [items[n : n + width] for n in range(0, len(items), width)]
    return items


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    if type(kind) is not Named or kind.name != "numpy.ndarray":
        raise refused("it holds an array that is none of numpy's own")
    return Array()


def _scalar(dtype: Any, raw: Any) -> Any:
    return array_of((), _numpy(dtype), raw).item()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Array:
    array = array_of(shape, _numpy(dtype), raw, "F" if order == "F" else "C")
    return Array(array if axes is None else array.transpose(axes))


def _encode(value: Any, encoding: Any) -> bytes:
    if type(value) is not str or encoding not in ("latin1", "latin-1"):
        raise refused("it asks for bytes in a way that no feature file needs")
    return value.encode("latin1")


def _dict(first: Any = None, *_: Any) -> dict[Any, Any]:
    """An OrderedDict of pairs, or a defaultdict, whose factory is never called."""
    if first is None or type(first) is Named:
        return {}
    return {_key(key): value for key, value in first}


def _set(items: Any = ()) -> set[Any]:
    return set(map(_key, items))


def _key(key: Any) -> Any:
    """A key of a dict or member of a set; others take forever to hash in a file made for that."""
    if type(key) is not str and not (type(key) is int and -INTEGERS <= key < INTEGERS):
        raise refused(f"it has a key or a member of a set of type {type(key).__name__}")
    return key


CALLS: dict[str, Callable[..., Any] | None] = {
    "numpy.ndarray": None,
    "numpy.dtype": Dtype,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1, and numpy 2
    CALLS[f"{_core}.multiarray._reconstruct"] = _reconstruct
    CALLS[f"{_core}.multiarray.scalar"] = _scalar
    CALLS[f"{_core}.numeric._frombuffer"] = _frombuffer
for _built in ("builtins", "__builtin__"):
    CALLS[f"{_built}.set"] = CALLS[f"{_built}.frozenset"] = _set
    CALLS[f"{_built}.bytes"] = bytes  # of nothing: how protocol 2 writes an array without rows
    for _factory in ("list", "dict", "int", "float"):
        CALLS[f"{_built}.{_factory}"] = None
TABLE = {name: Named(name, call) for name, call in CALLS.items()}


class _Bounded:
    """A file that never hands out more than it holds: a length in it is not to be believed."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise EOFError
        self.left -= count
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(self.left + 1)
        self.left -= len(line)
        return line


class _Steps(dict[int, Any]):
    """The functions of the opcodes, which end a pickle that takes too many or too much memory."""

    taken = 0

    def __getitem__(self, code: int) -> Any:
        self.taken += 1
        if self.taken > MOST_STEPS:
            raise refused(f"it takes more than {MOST_STEPS:,} steps")
        if not self.taken % STEPS_BETWEEN and psutil.virtual_memory().available < SPARE:
            raise MemoryError
        return super().__getitem__(code)


class _Reader(pickle._Unpickler):
    # The unpickler that Python has in Python, not the one in C: that one keeps its memo in an array
    # as long as the highest index, and makes room for as many bytes as a length says. Of 20 bytes
    # (LONG_BINPUT, BINBYTES8, FRAME) it takes all memory. Here the memo is a dict, and a read ends
    # with the file.
    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(_Bounded(file, size), encoding="latin1")
        self.dispatch = _Steps(DISPATCH)  # type: ignore[misc]
        self.size, self.made = size, 0

    def find_class(self, module: str, name: str) -> Named:
        if (full := f"{module}.{name}") not in TABLE:
            raise refused(
                f"it asks for {short_name(full, 100)}, which no feature file needs; nothing was run"
            )
        return TABLE[full]

    def persistent_load(self, pid: Any) -> Any:
        raise refused("it refers to objects outside the file (persistent id)")

    def get_extension(self, code: int) -> Any:
        raise refused(f"it asks for extension {code} of a registry that is not in the file")

    def _instantiate(self, named: Any, arguments: Iterable[Any]) -> None:
        self.stack.append(_called(named, tuple(arguments)))  # type: ignore[attr-defined]


def _called(named: Any, arguments: Any) -> Any:
    if type(named) is not Named or named.call is None or type(arguments) is not tuple:
        what = named.name if type(named) is Named else type(named).__name__
        raise refused(f"it calls {what}, which no feature file needs; nothing was run")
    if named.call is bytes and arguments:
        raise refused(f"it calls {named.name} with something")
    return named.call(*arguments)


def _reduce(reader: Any) -> None:
    arguments = reader.stack.pop()
    reader.stack[-1] = made = _called(reader.stack[-1], arguments)
    content = made.content if type(made) is Array else made
    reader.made += content.nbytes if isinstance(content, np.ndarray) else sys.getsizeof(content)
    if reader.made > COPIES * reader.size + SPARE:
        raise refused("its arrays are copied more often than any feature file's")


def _new_with_keywords(reader: Any) -> None:
    raise refused("it makes objects with keywords, which no feature file needs")


def _build(reader: Any) -> None:
    state, made = reader.stack.pop(), reader.stack[-1]
    if type(made) not in (Array, Dtype):
        raise refused(f"it sets attributes of an object of type {type(made).__name__}")
    made.build(state)


def _set_items(reader: Any, items: list[Any]) -> None:
    if type(target := reader.stack[-1]) is not dict:
        raise refused(f"it sets items of an object of type {type(target).__name__}")
    target.update((_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))


def _set_item(reader: Any) -> None:
    value, key = reader.stack.pop(), reader.stack.pop()
    _set_items(reader, [key, value])


def _make_dict(reader: Any) -> None:
    items = reader.pop_mark()
    reader.append({})
    _set_items(reader, items)


def _add_items(reader: Any) -> None:
    items = reader.pop_mark()
    if type(reader.stack[-1]) is not set:
        raise refused("it adds members to what is not a set")
    reader.stack[-1].update(map(_key, items))


def _bytes(reader: Any) -> None:
    # Python's own reserves as many bytes as the length says before it reads one.
    reader.append(reader.read(int.from_bytes(reader.read(8), "little")))


DISPATCH = {
    **pickle._Unpickler.dispatch,
    pickle.REDUCE[0]: _reduce,
    pickle.NEWOBJ[0]: _reduce,
    pickle.NEWOBJ_EX[0]: _new_with_keywords,
    pickle.BUILD[0]: _build,
    pickle.SETITEM[0]: _set_item,
    pickle.SETITEMS[0]: lambda reader: _set_items(reader, reader.pop_mark()),
    pickle.DICT[0]: _make_dict,
    pickle.ADDITEMS[0]: _add_items,
    pickle.FROZENSET[0]: lambda reader: reader.append(_set(reader.pop_mark())),
    pickle.BYTEARRAY8[0]: _bytes,
}


def unpickle(file: BinaryIO, size: int) -> Any:
    """The tree in the next `size` bytes of a file, as `plain` makes it.

    Raises:
        UnusableError: It asks for more than a feature file needs.
        Exception: Of any kind: it is cut short or damaged.
    """
    return plain(_Reader(file, size).load(), _leaf)


def _leaf(value: Any) -> Any:
    if type(value) is Dtype:
        return str(value.name)
    what = value.name if type(value) is Named else type(value).__name__
    raise refused(f"it holds {short_name(what, 60)}, which is not a value")


def plain(tree: Any, leaf: Callable[[Any], Any]) -> Any:
    """The tree in dicts, lists, tuples, sorted lists for sets, numbers, texts and arrays.

    What stands in it several times is walked once. Other objects are what `leaf` makes of them.
    """
    # Keeps what was walked: another object could get its id.
    done: dict[int, tuple[Any, int, Any]] = {}

    def walk(value: Any, depth: int) -> tuple[Any, int]:
        if value is None or isinstance(value, str | int | float | bytes | np.ndarray):
            return _simple(value), 1
        if id(value) not in done:
            if depth > DEEPEST:
                raise refused(f"its containers hold themselves, or are over {DEEPEST} deep")
            made, parts = inside(value, depth + 1)
            if parts > MOST_PARTS:
                raise refused(f"it stands for more than {MOST_PARTS:,} objects")
            done[id(value)] = made, parts, value
        return done[id(value)][:2]

    def inside(value: Any, depth: int) -> tuple[Any, int]:
        if isinstance(value, dict):
            walked = {_simple(_key(key)): walk(item, depth) for key, item in value.items()}
            return {key: made for key, (made, _) in walked.items()}, 1 + _sum(walked.values())
        if isinstance(value, set | frozenset):
            return sorted(value, key=lambda key: (type(key).__name__, key)), 1 + len(value)
        if isinstance(value, list) and set(map(type, value)) == {float}:
            return value, 1 + len(value)
        if isinstance(value, list | tuple):
            members = [walk(item, depth) for item in value]
            made = (made for made, _ in members)
            return tuple(made) if isinstance(value, tuple) else list(made), 1 + _sum(members)
        if type(value) is Array and value.content is not None:
            whole = value.shape is None
            return walk(value.content if whole else _nested(value.content, value.shape), depth)
        return leaf(value), 1

    return walk(tree, 0)[0]


def _sum(walked: Iterable[tuple[Any, int]]) -> int:
    return sum(parts for _, parts in walked)


def _simple(value: Any) -> Any:
    if type(value) is int and not -INTEGERS <= value < INTEGERS:
        raise refused("it holds a whole number of more than 64 bits")
    if type(value) is bytes:
        return value.decode("utf-8", "replace")
    if type(value) is str and not value.isascii():  # halves of characters cannot be written
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
