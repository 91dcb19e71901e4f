"""The clip cache: content keys, fingerprints, damage, and two writers at once."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.base import cache_table
from pipeline.base.cache import ClipCache, contents, digest_of
from pipeline.base.files import MACHINE, replacing, replacing_folder, scratch_folder, write_text
from pipeline.base.fingerprint import code_digest
from tests.conftest import ROOT

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
    (file,) = tmp_path.glob("*/*/*/*")
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b"\x00\x01" if damage is None else damage)
    assert cache(tmp_path).get(key) is None


def test_two_writers_leave_one_whole_entry(tmp_path: Path) -> None:
    key = digest_of("clip")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cache(tmp_path).put(key, ROW), range(50)))
    (held,) = contents(tmp_path)
    assert held.step == "audio" and held.entries == 1 and held.total_bytes > 0
    assert held.about == {}


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with pytest.raises(RuntimeError), replacing(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


WRITER = """
import sys, time
from pathlib import Path
from pipeline.base.files import replacing, replacing_folder
with {"replacing": replacing}.get(sys.argv[1], replacing_folder)(Path(sys.argv[2])):
    print("writes", flush=True)
    time.sleep(600)
"""


@contextmanager
def writing(how: str, path: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of writing a file or folder; it is killed at the end."""
    command = [*before, sys.executable, "-c", WRITER, how, str(path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "writes\n"
        yield process
    finally:
        process.kill()
        process.communicate()  # waits for all that it started


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.part"))


def write(how: str, path: Path) -> None:
    if how == "replacing":
        write_text(path, "whole")
    else:
        with replacing_folder(path) as part:
            (part / "file").write_text("whole")


@pytest.mark.parametrize("how", ["replacing", "replacing_folder"])
def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path: Path, how: str) -> None:
    with writing(how, tmp_path / "y"):
        pass
    with writing(how, tmp_path / "x"):
        write(how, tmp_path / "x")
        assert len(parts(tmp_path)) == 2, "that of a live process stays, and of another path"
    write(how, tmp_path / "x")
    (other,) = parts(tmp_path)
    assert other.name.startswith(".y.")
    write(how, tmp_path / "y")
    assert not parts(tmp_path)


def test_what_a_process_writes_in_another_container_of_the_same_name_stays(tmp_path: Path) -> None:
    """Its number says nothing here: a namespace of processes has its own."""
    apart = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"]).returncode:
        pytest.skip("needs the right to make a namespace of processes")
    with writing("replacing", tmp_path / "x", *apart):
        write_text(tmp_path / "x", "whole")
        assert len(parts(tmp_path)) == 1
    write_text(tmp_path / "x", "whole")
    assert not parts(tmp_path)


def test_what_another_machine_left_is_removed_when_it_is_a_day_old(tmp_path: Path) -> None:
    elsewhere = tmp_path / f".x.{'0' * 8}-abc.part"
    elsewhere.write_text("half")
    write_text(tmp_path / "x", "whole")
    assert elsewhere.exists()
    os.utime(elsewhere, (1, 1))
    write_text(tmp_path / "x", "whole")
    assert not elsewhere.exists()


def test_a_put_lists_no_folder_and_what_a_killed_run_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of an entry may hold a million."""
    first = cache(tmp_path)
    first.put(digest_of("clip"), ROW)
    scratch = first.folder / f".{MACHINE}"
    assert not list(scratch.iterdir()), "renamed to its place"
    (scratch / f".{digest_of('other')}.{MACHINE}-abc.part").write_bytes(b"half")
    listed: list[Path] = []
    monkeypatch.setattr(Path, "glob", lambda path, _: listed.append(path) or iter(()))
    first.put(digest_of("other"), ROW)
    assert listed == []
    monkeypatch.undo()
    assert cache(tmp_path).get(digest_of("other")) is not None
    assert not list(scratch.iterdir())
    (held,) = contents(tmp_path)
    assert held.entries == 2


def test_a_link_in_a_place_of_temporary_files_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / f".x.{MACHINE}-abc.part").symlink_to(mine)
    with scratch_folder("x", tmp_path):
        pass
    assert mine.is_dir()


@pytest.mark.parametrize("room", [0, 100, 1_000, 3_000])
def test_a_disk_that_is_full_after_some_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """What was written before is kept, nothing is half-written, and it goes on from there."""
    rows = {digest_of(n): {"frames": n, "values": bytes([n]) * 40 * n} for n in range(10)}
    whole, left = Path.write_bytes, room

    def write_bytes(path: Path, data: bytes) -> int:
        nonlocal left
        whole(path, data[: max(0, left)])
        left -= len(data)
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return len(data)

    held = cache(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="No space left"):
        for key, row in rows.items():
            held.put(key, row)
    monkeypatch.setattr(Path, "write_bytes", whole)
    kept = [key for key in rows if held.has(key)]
    assert kept == list(rows)[: len(kept)] and len(kept) < len(rows)
    assert not list(tmp_path.rglob("*.part"))
    for key, row in rows.items():
        found = held.get(key) or held.put(key, row)
        assert found.to_pylist() == [row]


def test_prune_goes_by_last_use_and_removes_orphans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ERC_CACHE", str(tmp_path))
    about = {"settings": {"layer": "logits"}, "encoder": {"name": "resnet101"}}
    old, used = (ClipCache("visual", n, SCHEMA, about=about) for n in range(2))
    for held in (old, used):
        held.put(digest_of("clip"), ROW)
        for path in (*held.folder.rglob("*"), held.folder.with_name(f"{held.folder.name}.json")):
            os.utime(path, (0, 0))
    with writing("replacing", used.folder / "k"):
        pass
    (orphan,) = parts(used.folder)
    assert ClipCache("visual", 1, SCHEMA, about=about).folder == used.folder
    cache_table.prune(1.0)
    assert not old.folder.exists() and used.has(digest_of("clip")) and not orphan.exists()
    assert [held.entries for held in contents()] == [1]
    capsys.readouterr()
    cache_table.show()
    assert "resnet101" in capsys.readouterr().out
    assert cache_table.made_with(about) == "resnet101, layer logits"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'{"encoder": 1, "settings": []}', b"[/x]"]
)
def test_damaged_words_on_a_fingerprint_are_left_out_of_the_table(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: bytes,
) -> None:
    monkeypatch.setenv("ERC_CACHE", str(tmp_path))
    held = ClipCache("visual", 1, SCHEMA, about={"encoder": {"name": "[/x]"}})
    held.put(digest_of("clip"), ROW)
    cache_table.show()
    assert "[/x]" in capsys.readouterr().out
    held.folder.with_name(f"{held.folder.name}.json").write_bytes(damage)
    cache_table.show()
    assert "visual │           │ 1 " in capsys.readouterr().out
    cache_table.prune(-1.0)
    assert not held.folder.exists()


def test_code_digest_sees_code_and_not_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.base.fingerprint.ROOT", tmp_path)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "cache"))
    room = tmp_path / "pipeline/features"
    room.mkdir(parents=True)
    (tmp_path / "pipeline/base").mkdir()
    files = {
        "features/one": "from pipeline.base.x import b\nfrom pipeline.features import two\n",
        "features/two": "from pipeline.features.settings import S\ndef f(a):\n    return a + 1\n",
        "features/settings": "S = 1\n",
        "base/x": "b = 1\n",
    }

    def digest(**changes: str) -> str:
        for name, text in {**files, **changes}.items():
            (tmp_path / "pipeline" / f"{name}.py").write_text(text)
        code_digest.cache_clear()
        return code_digest("pipeline.features.one")

    first = digest()
    (kept,) = (tmp_path / "cache/code").iterdir()
    for damaged in ("", "half of it"):
        kept.write_text(damaged)
        assert digest() == first
    two = files["features/two"]
    assert digest(**{"features/two": '"""Doc."""\n' + two + "# A comment.\n"}) == first
    assert digest(**{"features/settings": "S = 2\n"}) == first, "settings enter by their values"
    assert digest(**{"base/x": "b = 2\n"}) == first, "no room that computes"
    assert digest(**{"features/two": two.replace("+ 1", "+ 2")}) != first, "an import's code"
    assert digest(**{"features/one": files["features/one"] + "c = 1\n"}) != first
    assert digest() == first
    before = code_digest("pipeline.base.x")  # a module that is named counts wherever it lies
    (tmp_path / "pipeline/base/x.py").write_text("b = 3\n")
    code_digest.cache_clear()
    assert code_digest("pipeline.base.x") != before
