"""The encoder folder: the same bytes on every run, and refused once anything in it has changed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.weights.fetch import install
from pipeline.weights.folder import load, read_record, write_none, write_pointer
from tests.weights.conftest import BYTES, NOWHERE, SHA256, encoder, lock_of

CONFIG = b"{}"
CONFIG_SHA256 = hashlib.sha256(CONFIG).hexdigest()
FILES = {
    "model.bin": {"bytes": len(BYTES), "sha256": SHA256},
    "pool/config.json": {"bytes": None, "sha256": CONFIG_SHA256},
}
LOCK = lock_of(encoder(NOWHERE, files=FILES))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that holds the whole encoder `big`."""
    store = tmp_path / "weights"
    (store / "big" / "pool").mkdir(parents=True)
    (store / "big" / "model.bin").write_bytes(BYTES)
    (store / "big" / "pool" / "config.json").write_bytes(CONFIG)
    return store


@pytest.fixture
def folder(tmp_path: Path, store: Path) -> Path:
    folder = tmp_path / "encoders" / "meld" / "visual"
    install("big", "visual", folder, store, "meld.visual.encoder", lock=LOCK)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_record_says_what_is_there(folder: Path) -> None:
    text = (folder / "encoder.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "format": "encoder/1",
        "name": "big",
        "role": "visual",
        "architecture": "resnet101",
        "revision": "Big_Weights.V2",
        "licence": "MIT",
        "description": "A test's encoder.",
        "files": {
            "model.bin": {"bytes": len(BYTES), "sha256": SHA256},
            "pool/config.json": {"bytes": 2, "sha256": CONFIG_SHA256},
        },
    }


def test_two_runs_write_the_same_bytes(folder: Path, store: Path) -> None:
    before = content(folder)
    (folder / "stray.bin").write_bytes(b"left from before")
    for path in folder.rglob("*"):
        path.chmod(0o555)  # As DVC leaves its outputs.
    install("big", "visual", folder, store, "meld.visual.encoder", lock=LOCK)
    assert content(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["visual"]


def test_files_are_copies(folder: Path, store: Path) -> None:
    inodes = [(root / "model.bin").stat().st_ino for root in (folder, store / "big")]
    assert inodes[0] != inodes[1]
    assert not (folder / "model.bin").is_symlink()


def test_failed_install_leaves_the_old_folder(folder: Path, store: Path) -> None:
    before = content(folder)
    (store / "big" / "model.bin").write_bytes(b"damaged")
    with pytest.raises(PipelineError):
        install("big", "visual", folder, store, "meld.visual.encoder", lock=LOCK)
    assert content(folder) == before


def test_encoder_of_another_role_is_refused(tmp_path: Path, store: Path) -> None:
    with pytest.raises(PipelineError, match=r"meld\.text\.encoder: got 'big'"):
        install("big", "text", tmp_path / "out", store, "meld.text.encoder", lock=LOCK)
    assert not (tmp_path / "out").exists()


def test_load_gives_files_and_one_digest(folder: Path) -> None:
    big = load(folder)
    assert (big.name, big.role, big.architecture) == ("big", "visual", "resnet101")
    assert (big.revision, big.folder) == ("Big_Weights.V2", folder)
    assert big.files == {"model.bin": SHA256, "pool/config.json": CONFIG_SHA256}
    lines = f"{SHA256}  model.bin\n{CONFIG_SHA256}  pool/config.json\n"
    assert big.digest == hashlib.sha256(lines.encode()).hexdigest()


def test_a_pointer_leads_to_the_files_of_another_folder(folder: Path, tmp_path: Path) -> None:
    pointer = tmp_path / "tuned" / "meld" / "text"
    write_pointer(folder, pointer)
    assert list(content(pointer)) == ["encoder.json"]
    assert read_record(pointer).folder == "../../../encoders/meld/visual"
    assert load(pointer).about == load(folder).about
    flip(folder)
    with pytest.raises(PipelineError, match=r"model\.bin: got SHA-256"):
        load(pointer)


def test_a_pointer_stays_in_the_repository(folder: Path, tmp_path: Path) -> None:
    pointer = tmp_path / "tuned" / "meld" / "text"
    write_pointer(folder, pointer)
    record = json.loads((pointer / "encoder.json").read_text())
    for way in (str(folder), "../../../../encoders", "x/../../y", ".."):
        (pointer / "encoder.json").write_text(json.dumps(record | {"folder": way}))
        with pytest.raises(PipelineError, match="No usable encoder in"):
            load(pointer)


def flip(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"!" + BYTES[1:])


def shorten(folder: Path) -> None:
    (folder / "model.bin").write_bytes(BYTES[:-1])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (flip, f"model.bin: got SHA-256 [0-9a-f]{{64}}, expected {SHA256}"),
        (shorten, "model.bin: got 16999 bytes, expected 17000"),
        (lambda f: (f / "model.bin").unlink(), "model.bin: missing"),
        (lambda f: (f / "added.json").write_text("{}"), "added.json: not expected here"),
        (lambda f: (f / "more").symlink_to(f.parent), "more: not expected here"),
        (lambda f: os.mkfifo(f / "vocab.txt"), "vocab.txt: not expected here"),
    ],
)
def test_changed_folder_is_refused(
    folder: Path, change: Callable[[Path], object], problem: str
) -> None:
    change(folder)
    with pytest.raises(PipelineError, match=problem) as caught:
        load(folder)
    assert "dvc repro" in str(caught.value)


def test_without_verify_sizes_are_still_checked(folder: Path) -> None:
    flip(folder)
    assert load(folder, verify=False).name == "big"
    shorten(folder)
    with pytest.raises(PipelineError, match="16999 bytes"):
        load(folder, verify=False)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "encoder/2", "name": null}', "not json"]
)
def test_unusable_record_is_a_clear_error(folder: Path, text: str) -> None:
    (folder / "encoder.json").write_text(text)
    with pytest.raises(PipelineError, match=r"No usable encoder in .*dvc repro"):
        load(folder)
    with pytest.raises(PipelineError, match="No usable encoder in"):
        load(folder / "nothing")


def test_none_replaces_an_encoder_and_loads_as_an_error(folder: Path) -> None:
    write_none(folder)
    assert content(folder) == {"encoder.json": b'{\n  "format": "encoder/1",\n  "name": null\n}\n'}
    with pytest.raises(PipelineError, match="holds no encoder, as its modality is switched off"):
        load(folder)
