"""The clip cache: content keys, fingerprints, damage, and two writers at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import fingerprint
from pipeline.cache import ClipCache, contents, digest_of
from pipeline.files import replacing
from pipeline.fingerprint import code_digest

SCHEMA = pa.schema([("frames", pa.int32()), ("values", pa.large_binary())])
ROW = {"frames": 1, "values": b"1234"}


def cache(root: Path, facts: object = 1) -> ClipCache:
    return ClipCache("audio", facts, SCHEMA, root)


def test_what_is_put_is_got(tmp_path: Path) -> None:
    key = digest_of("clip")
    assert cache(tmp_path).get(key) is None
    put = cache(tmp_path).put(key, ROW)
    found = cache(tmp_path).get(key)
    assert found is not None and found.equals(put) and found.to_pylist() == [ROW]


def test_another_fingerprint_finds_nothing_and_the_old_one_still_does(tmp_path: Path) -> None:
    key = digest_of("clip")
    cache(tmp_path, {"set": "A"}).put(key, ROW)
    assert cache(tmp_path, {"set": "B"}).get(key) is None
    assert cache(tmp_path, {"set": "A"}).get(key) is not None


def test_the_order_of_settings_does_not_matter() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": 3})


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_entry_is_absent(tmp_path: Path, damage: bytes | None) -> None:
    key = digest_of("clip")
    cache(tmp_path).put(key, ROW)
    (file,) = (p for p in tmp_path.rglob("*") if p.is_file())
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b"\x00\x01" if damage is None else damage)
    assert cache(tmp_path).get(key) is None


def test_two_writers_leave_one_whole_entry(tmp_path: Path) -> None:
    key = digest_of("clip")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cache(tmp_path).put(key, ROW), range(50)))
    ((step, _, entries, size, _),) = contents(tmp_path)
    assert step == "audio" and entries == 1 and size > 0


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with pytest.raises(RuntimeError), replacing(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_code_digest_sees_code_and_not_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "sample_module.py"
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for text in (
        '"""Doc."""\ndef f(x):\n    """Doc."""\n    return x + 1\n',
        "# A comment.\ndef f(x):\n    return (x + 1)\n",
        "def f(x):\n    return x + 2\n",
    ):
        module.write_text(text)
        digests.append(code_digest("sample_module"))
    assert digests[0] == digests[1] != digests[2]
    assert set(fingerprint.versions("numpy", "av")) == {"numpy", "av"}
