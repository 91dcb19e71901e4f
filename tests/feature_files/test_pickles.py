"""Pickles: what is read without running anything, and what is refused."""

import collections
import os
import pickle
import pickletools
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.feature_files.containers import load
from pipeline.feature_files.read import read
from tests.feature_files.published import (
    Python2,
    emorynlp,
    iemocap,
    meld,
    mmsa,
    pickled,
)

TREE = (
    {"Ses01F_impro01": ["Ses01F_impro01_F000", "é \u2013 \u2019"], 1432: [0]},
    {1039: np.arange(8, dtype="f4").reshape(2, 4), 1153: [np.zeros(3), np.ones(3)]},
    [np.float64(1.5), np.int32(3), np.bool_(True), np.str_("x"), None, 2.5],
    {"b", "a", 2, 1},
    np.array(["x", "yy"]),
    np.array([b"x", "\xe9".encode()]),
    np.array([[1, 2], [3, 4]], order="F"),
    np.arange(6.0).reshape(2, 3)[:, ::2],
    np.zeros((0, 4), "f4"),
    np.array([True, False]),
    np.arange(3, dtype="f2"),
    np.ones((2, 3, 4), "f8").transpose(2, 0, 1),
)
PLAIN = (
    *TREE[:2],
    [1.5, 3, True, "x", None, 2.5],
    [1, 2, "a", "b"],
    TREE[4],
    np.array(["x", "\xe9"]),
    *TREE[6:],
)


def tree_of(path: Path, data: bytes) -> Any:
    path.write_bytes(data)
    return load(path)


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and bool(a == b)


def refusal(path: Path, data: bytes) -> str:
    with pytest.raises(PipelineError) as error:
        tree_of(path, data)
    assert str(error.value).startswith(f"{path} cannot be used: ")
    assert "\n  next: " in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("numpy", [1, 2])
@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read_with_the_names_of_both_numpys(
    tmp_path: Path, protocol: int, numpy: int
) -> None:
    data = pickled(TREE, protocol, numpy)
    assert (b"numpy._core" in data) == (numpy == 2)
    assert equal(tree_of(tmp_path / "x", data), PLAIN)


def test_big_endian_arrays_become_native_and_long_doubles_double(tmp_path: Path) -> None:
    given = [np.array([1.5, 2.0], ">f8"), np.array([1, -2], ">i4"), np.array(["é"], ">U3")]
    found = tree_of(tmp_path / "x", pickle.dumps([*given, np.array([1.5], np.longdouble)], 4))
    assert all(array.dtype.isnative for array in found) and found[3].dtype == np.float64
    assert all((a == b).all() for a, b in zip(found, given, strict=False))


def test_what_python_2_wrote_is_read_as_latin_1(tmp_path: Path) -> None:
    texts = ["x" * 300, "café".encode()]
    tree = [{"Ses01F": np.array([[1.5, -2.0]] * 40)}, {"a", "b"}, texts]
    found = tree_of(tmp_path / "x", Python2().pickle(tree))
    assert equal(found[0], tree[0]) and found[1:] == [["a", "b"], ["x" * 300, "cafÃ©"]]


def test_arrays_of_objects_are_lists_of_their_shape(tmp_path: Path) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.ones(3, "f4"), np.zeros(3, "f4")]
    tree = [ragged, np.array([[1.0, 2], [3, 4]], object), np.array({"a": 1}, object)]
    found = tree_of(tmp_path / "x", pickle.dumps(tree, 4))
    assert equal(found, [list(ragged), [[1.0, 2], [3, 4]], {"a": 1}])


def test_defaultdicts_and_ordered_dicts_are_dicts(tmp_path: Path) -> None:
    made = collections.OrderedDict(a=1), collections.defaultdict(list, {"q": [1]})
    assert equal(tree_of(tmp_path / "x", pickle.dumps(made, 2)), ({"a": 1}, {"q": [1]}))
    python_2 = b"\x80\x02ccollections\nOrderedDict\n]]U\x01aK\x01ea\x85R."
    python_2 = python_2.replace(b"]]U", b"](](U").replace(b"K\x01ea", b"K\x01ee")
    assert tree_of(tmp_path / "x", python_2) == {"a": 1}


def test_parts_that_are_shared_are_walked_once(tmp_path: Path) -> None:
    shared = [np.ones(2, "f4")]
    found = tree_of(tmp_path / "x", pickle.dumps([shared, shared]))
    assert found[0] is found[1]


def test_arrays_are_views_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    found = tree_of(tmp_path / "x", pickle.dumps(np.ones(5), 4))
    assert not found.flags.writeable and not found.flags.owndata


def test_halves_of_characters_are_replaced(tmp_path: Path) -> None:
    assert tree_of(tmp_path / "x", pickle.dumps(["a\ud800b", "😀"], 4)) == ["a\ufffdb", "😀"]


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/evil",)


class Stateful:
    """Somebody's own class, as COGMEN's files have."""


@pytest.mark.parametrize("protocol", range(6))
def test_a_function_is_named_and_never_called(tmp_path: Path, protocol: int) -> None:
    for content in ([Evil()], {"x": np.array([Evil()], object)}):
        assert "posix.system" in refusal(tmp_path / "x", pickle.dumps(content, protocol))
    assert not Path("/tmp/evil").exists()


def globals_and_calls() -> dict[str, tuple[bytes, str]]:
    """Pickles by what is wrong with them, and words of the error."""
    array = pickle.dumps(np.zeros(2), 2)
    matrix = array.replace(b"cnumpy\nndarray\n", b"cnumpy\nmatrix\n")
    return {
        "class": (pickle.dumps(Stateful(), 0), "copy_reg._reconstructor"),
        "class of protocol 4": (pickle.dumps(Stateful(), 4), "Stateful"),
        "eval": (b"cbuiltins\neval\n(V1\ntR.", "builtins.eval"),
        "getattr": (b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.", "builtins.getattr"),
        "torch": (b"ctorch._utils\n_rebuild_tensor_v2\n.", "torch._utils._rebuild_tensor_v2"),
        "pandas": (b"cpandas.core.frame\nDataFrame\n.", "pandas.core.frame.DataFrame"),
        "inst": (b"(S'touch /tmp/evil'\niposix\nsystem\n.", "posix.system"),
        "obj": (b"(cposix\nsystem\nS'x'\no.", "posix.system"),
        "factory called": (b"c__builtin__\nlist\n(tR.", "calls __builtin__.list"),
        "factory by obj": (b"(c__builtin__\nlist\no.", "calls __builtin__.list"),
        "factory by newobj": (b"\x80\x02c__builtin__\nint\n)\x81.", "calls __builtin__.int"),
        "newobj_ex": (b"\x80\x04cnumpy\ndtype\n)}\x92.", "keywords"),
        "a text is called": (b"\x80\x02Vos\n(tR.", "calls str"),
        "bytes of a number": (b"c__builtin__\nbytes\n(J\x00\x00\x00\x7ftR.", "with something"),
        "a name is left": (b"cnumpy\nndarray\n.", "holds numpy.ndarray"),
        "attributes of a dict": (b"\x80\x02}}U\x01aK\x01sb.", "sets attributes"),
        "attributes of a name": (b"cnumpy\nndarray\n}b.", "sets attributes"),
        "persistent id": (b"\x80\x02Pabc\n.", "persistent"),
        "persistent id of protocol 1": (b"]K\x01Q.", "persistent"),
        "extension": (b"\x80\x02\x82\x01.", "extension"),
        "matrix": (matrix, "numpy.matrix"),
        "masked": (pickle.dumps(np.ma.zeros(2), 2), "numpy.ma"),
        "records": (pickle.dumps(np.zeros(2, [("a", "f4")]), 2), "type"),
        "dates": (pickle.dumps(np.zeros(2, "M8[s]"), 2), "type M8"),
        "complex": (pickle.dumps(np.zeros(2, complex), 2), "type c16"),
        "shape too long": (array.replace(b"K\x02\x85", b"K\x03\x85"), "shape needs 24"),
        "shape too long for memory": (
            array.replace(b"K\x02\x85", b"\x8a\x05\x00\x00\x00\x00\x7f\x85"), "a shape that"),
        "negative shape": (array.replace(b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), "a shape"),
        "characters": (pickle.dumps(np.array(["a"]), 4).replace(b"a\0\0\0", b"\xff" * 4), "texts"),
        "tuple as key": (pickle.dumps({("train", 0): 1}), "type tuple"),
        "tuples in a set": (pickle.dumps({(1, 2)}), "type tuple"),
        "huge key": (pickle.dumps({2**70: 1}), "type int"),
        "huge number": (pickle.dumps([2**70]), "64 bits"),
        "out of band": (b"\x80\x05\x97.", "damaged"),
        "cut short": (array[:-20], "cut short"),
        "no end": (b"\x80\x02]", "cut short"),
        "not a pickle": (b"\x80\x04hello world", "damaged"),
        "protocol 9": (b"\x80\x09.", "damaged"),
        "no item": (b"\x80\x02.", "damaged"),
        "a list twice itself": (b"\x80\x02]q\x00h\x00a.", "hold themselves"),
        "a dict in itself": (b"\x80\x02}q\x00K\x01h\x00s.", "hold themselves"),
        "deep": (b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".", "deep"),
    }  # fmt: skip


@pytest.mark.parametrize("name", globals_and_calls())
def test_anything_but_data_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    data, words = globals_and_calls()[name]
    assert words in refusal(tmp_path / "x", data)


def test_names_in_a_file_cannot_fill_the_screen(tmp_path: Path) -> None:
    text = refusal(tmp_path / "x", b"c" + b"\x1b[2J" * 100_000 + b"\nx\n.")
    assert len(text) < 1000 and "\x1b" not in text


BOMBS = {
    "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
    "bytes of 4 GB": b"\x80\x03B\xff\xff\xff\xff.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b".",
    "byte array": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**42) + b"].",
    "number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "string": b"\x80\x02T\xff\xff\xff\x7f.",
    "2 to the 60 leaves": b"\x80\x02]q\x00" + b"".join(
        b"(h" + bytes([n]) + b"h" + bytes([n]) + b"lq" + bytes([n + 1]) for n in range(60)
    ) + b".",
    "a shape of 2 to the 60 parts": b"\x80\x02]q\x00" + b"".join(
        b"(h" + bytes([n]) + b"h" + bytes([n]) + b"lq" + bytes([n + 1]) for n in range(60)
    ) + pickle.dumps(np.zeros(2), 0).replace(b"(I2\ntp", b"(h\x3ctp"),
    "a key that hashes for ever": b"\x80\x02})q\x00" + b"".join(
        b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) if n else b"h\x00\x86q\x01" for n in range(60)
    ) + b"K\x01s.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_tiny_file_takes_neither_memory_nor_time(tmp_path: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (tmp_path / "x").write_bytes(BOMBS[name])
    with pytest.raises(PipelineError):
        read(tmp_path / "x")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_more_steps_than_a_file_of_features_takes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.feature_files.unpickling.MOST_STEPS", 100)
    assert "100 steps" in refusal(tmp_path / "x", b"\x80\x02" + b"]0" * 200 + b"].")


# --- any bytes at all --------------------------------------------------------------------------


def valid_files() -> list[bytes]:
    small = iemocap({"Ses01F_impro01": 2, "Ses05F_impro01": 2})
    files = [pickled(small.file("iemocap_9"), protocol) for protocol in (0, 2, 4, 5)]
    files += [pickled(meld().file("cfn_esa_14")), pickled(list(emorynlp().file("cosmic_10")))]
    small.train = [*small.train]
    return [*files, pickled(mmsa(2)), Python2().pickle(small.file("iemocap_9"))]


VALID = valid_files()
Mutation = Callable[[bytes], bytes]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid file with some bytes changed, cut out, put in, or moved."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            data[place] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[place : place + draw(st.integers(1, 40))]
        elif kind == 2:
            data[place:place] = draw(st.binary(min_size=1, max_size=12))
        elif kind == 3:
            other = draw(st.integers(0, len(data) - 1))
            data[place:place] = data[other : other + draw(st.integers(1, 60))]
        else:
            del data[place:]
        if not data:
            break
    return bytes(data)


def contents_or_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        contents = read(path)
        assert all(len(rows) == len(contents.turns) for rows in contents.vectors.values())
    except PipelineError as error:
        assert str(path) in str(error) and "parts are not those" not in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated())
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path: Path, data: bytes) -> None:
    contents_or_error(tmp_path / "x.pkl", data)


OPCODES = bytes(op.code.encode("latin1")[0] for op in pickletools.opcodes)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.sampled_from(OPCODES) | st.integers(0, 255), max_size=60).map(bytes))
def test_any_row_of_opcodes_is_read_or_refused_in_words(tmp_path: Path, data: bytes) -> None:
    contents_or_error(tmp_path / "x.pkl", b"\x80\x04" + data)


@pytest.mark.slow
@settings(max_examples=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated())
def test_thousands_of_damaged_files_are_read_or_refused_in_words(
    tmp_path: Path, data: bytes
) -> None:
    contents_or_error(tmp_path / "x.pkl", data)


def test_a_matrix_under_many_keys_is_refused_before_its_rows_are_walked(tmp_path: Path) -> None:
    """A file of 200 kB that would stand for a hundred million rows."""
    rows = np.zeros((10_000, 1), "f4")
    shared = {f"d{n}": rows for n in range(10_000)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([shared] * 10, 4))
    with pytest.raises(PipelineError, match="more than 1,000,000 turns"):
        read(tmp_path / "x.pkl")


def test_calls_that_copy_without_end_are_refused(tmp_path: Path) -> None:
    """Text of 1 MB that is encoded again and again: `_codecs.encode` of the same memo."""
    text = pickle.dumps("x" * 2**20, 2)[:-1] + b"q\x01"
    call = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R"
    assert "copied more often" in refusal(tmp_path / "x.pkl", text + call * 2000 + b".")


def test_json_of_containers_alone_is_measured_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" + "[]," * 100_000 + "[]]")
    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory(2**24))
    with pytest.raises(PipelineError, match="of memory"):
        load(path)


class Memory:
    def __init__(self, available: int) -> None:
        self.available = available
