"""Files of every kind: what is read of them, and that none takes memory that it should not."""

import json
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.feature_files import containers
from pipeline.feature_files.containers import load
from tests.feature_files.test_pickles import Evil, Stateful


def refusal(path: Path) -> str:
    with pytest.raises(PipelineError) as error:
        load(path)
    assert str(error.value).startswith(f"{path} cannot be used: ")
    return str(error.value)


def saved(path: Path, **members: Any) -> Path:
    np.savez_compressed(path, **members)
    return path


def test_npz_members_are_read_and_their_objects_never_unpickled(tmp_path: Path) -> None:
    labels = np.array({"a": {"emo": 1, "val": -10.0}}, object)
    path = saved(
        tmp_path / "x.npz", whole=labels, x=np.ones((2, 3), ">f4"), s=np.array(["a", "bc"])
    )
    tree = load(path)
    assert tree["whole"] == {"a": {"emo": 1, "val": -10.0}}
    assert tree["x"].dtype == np.float32 and tree["s"].tolist() == ["a", "bc"]
    saved(path, x=np.array([Evil()], object))
    assert "posix.system" in refusal(path)


def test_npy_files_of_any_order_are_read(tmp_path: Path) -> None:
    for array in (
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.ones((2, 3))),
        np.zeros((0, 2)),
    ):
        np.save(tmp_path / "x.npy", array)
        assert np.array_equal(load(tmp_path / "x.npy"), array)
    np.save(tmp_path / "x.npy", np.array([Evil()], object))
    assert "posix.system" in refusal(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.zeros(2, [("a", "f4")]))
    assert "type" in refusal(tmp_path / "x.npy")


def test_a_shape_that_its_bytes_do_not_fill_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((2, 3)))
    for shape in ("(2, 9)", "(99999999999, 99999)", "(0, 99999999999)", "(-2, -3)"):
        header = np.lib.format.magic(1, 0) + b"\x76\x00"
        text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"
        path.write_bytes(header + text.ljust(0x75).encode() + b"\n" + b"x" * 48)
        refusal(path)
    np.save(path, np.ones((2, 3)))
    path.write_bytes(path.read_bytes()[:-1])
    assert "cut short" in refusal(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        for _ in range(400):
            file.write(bytes(2**20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "unpack to 419430400" in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    saved(path, x=np.zeros(10**6))  # much smaller packed, but nobody's bomb
    assert len(load(path)["x"]) == 10**6


@pytest.mark.parametrize(("limit", "words"), [("LARGEST", "at most"), ("LARGEST_JSON", "at most")])
def test_files_larger_than_any_of_features_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(containers, limit, 10)
    (tmp_path / "x").write_text('["some", "list"]')
    assert words in refusal(tmp_path / "x")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.ones(1000))
    memory = type("Memory", (), {"available": 5000})
    monkeypatch.setattr(containers.psutil, "virtual_memory", lambda: memory)
    assert "GiB of memory" in refusal(tmp_path / "x.npy")


def test_lists_of_numbers_in_json_are_float32(tmp_path: Path) -> None:
    content = [[{"text": "a\ud800", "cls": [1, 2.5, 1e300], "label": None, "n": [], "x": [1, "a"]}]]
    (tmp_path / "x").write_text(json.dumps(content))
    (row,) = load(tmp_path / "x")[0]
    assert row["cls"].dtype == np.float32 and row["cls"].tolist() == [1, 2.5, np.inf]
    assert (row["text"], row["label"], row["n"], row["x"]) == ("a\ufffd", None, [], [1, "a"])
    for text in ("[" * 100_000, '{"a": ', "[1e5, nan]", f"[{10**30}]"):
        (tmp_path / "x").write_text(text)
        refusal(tmp_path / "x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"BZh9", "bunzip2"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "torch before 1.6"),
        (b"PAR1", "utterances.csv"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x93NUMPY\x07\x00", "version (7, 0)"),
        (b"\x93NUMPY", "damaged"),
        (b"PK\x03\x04 nothing more", "damaged"),
        (b"utterance,f0\n", "first bytes"),
    ],
)
def test_other_kinds_of_file_are_named_with_what_to_do(
    tmp_path: Path, data: bytes, words: str
) -> None:
    (tmp_path / "x").write_bytes(data)
    assert words in refusal(tmp_path / "x")


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none")
    assert "not a regular file" in refusal(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    assert "unpack it" in refusal(tmp_path / "x.zip")


def test_tensors_are_arrays_and_nothing_else_of_torch_is_read(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "x.pt"
    torch.save({"a": [torch.ones(2, 3)], "b": torch.ones(2, dtype=torch.bfloat16)}, path)
    tree = load(path)
    assert tree["a"][0].tolist() == [[1.0] * 3] * 2 and tree["b"].dtype == np.float32
    for content, words in (
        ({"a": Stateful()}, "Stateful"),
        ({"a": Evil()}, "posix.system"),
        ({"a": torch.ones(2).to_sparse()}, "Tensor"),
        ({"a": torch.ones(1).expand(10**9)}, "larger than the file"),
        ({(1, 2): 1}, "type tuple"),
    ):
        torch.save(content, path)
        assert words in refusal(path)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("packed")
    labels = np.array({"a": {"emo": 1}}, object)
    path = saved(folder / "x.npz", whole=labels, x=np.ones((2, 3), "f4"))
    np.save(folder / "x.npy", np.array([["a", 1.5]], object))
    (folder / "x.json").write_text(json.dumps([[{"text": "a", "cls": [1.5]}]]))
    np.savez(folder / "y.npz", x=np.array(["a", "bc"]))
    return [file.read_bytes() for file in (path, *(folder / f"x.{e}" for e in ("npy", "json")))] + [
        (folder / "y.npz").read_bytes()
    ]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_of_other_kinds_are_read_or_refused_in_words(
    tmp_path: Path, packed: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(packed)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        content = content or bytearray(b"x")
    (tmp_path / "x").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        load(tmp_path / "x")
    except PipelineError as error:
        assert "cannot be used" in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
