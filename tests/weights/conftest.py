"""What the tests of the weights share: a web server on this machine, locks, empty caches."""

import hashlib
import http.server
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from pipeline.weights.lock import Lock

BYTES = b"the true weights " * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
REVISION = "0123456789abcdef0123456789abcdef01234567"


class WebServer(http.server.ThreadingHTTPServer):
    """Serves `replies[path]`: (status, body, length it claims); counts what is asked.

    `headers[path]` are sent besides.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, tuple[int, bytes, int]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def serve(self, path: str, body: bytes, status: int = 200, claims: int | None = None) -> str:
        self.replies[path] = (status, body, len(body) if claims is None else claims)
        return self.address + path


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.wfile.write(self._answer())

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> bytes:
        """Sends status and headers; returns the body."""
        status, body, claims = self.server.replies.get(self.path, (404, b"", 0))
        self.send_response(status)
        self.send_header("Content-Length", str(claims))
        for name, value in self.server.headers.get(self.path, {}).items():
            self.send_header(name, value)
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
    """A machine with empty caches, no proxy, and a hub that is switched off."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def url_source(url: str) -> dict[str, Any]:
    return {"kind": "url", "url": url}


def hub_source(path: str = "model.bin") -> dict[str, Any]:
    return {"kind": "hub", "repo": "owner/model", "revision": REVISION, "path": path}


def package_source(member: str = "fake_weights/model.bin") -> dict[str, Any]:
    return {"kind": "package", "package": "fake-weights", "version": "1.0", "member": member}


def locked_file(
    *sources: dict[str, Any], name: str = "model.bin", **changes: Any
) -> dict[str, Any]:
    file = {"name": name, "bytes": len(BYTES), "sha256": SHA256, "sources": sources}
    return {**file, **changes}


def locked_encoder(*files: dict[str, Any], name: str = "big", **changes: Any) -> dict[str, Any]:
    encoder = {
        "name": name,
        "role": "visual",
        "architecture": "resnet101",
        "revision": "Big_Weights.V2",
        "licence": "MIT",
        "description": "A test's encoder.",
        "files": files,
    }
    return {**encoder, **changes}


def lock_of(*encoders: dict[str, Any]) -> Lock:
    return Lock.model_validate({"format": "weights/1", "encoders": encoders})


def one_file_lock(*sources: dict[str, Any], **changes: Any) -> Lock:
    """A lock whose visual encoder `big` has the one file `model.bin`."""
    return lock_of(locked_encoder(locked_file(*sources, **changes)))


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], list[Any]]:
    """Replaces pip by one that `downloads` a wheel with the given members; None: no index.

    Returns the list of the commands that were run.
    """

    def pretend(members: dict[str, bytes] | None) -> list[Any]:
        commands: list[Any] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            if members is None:
                error = "WARNING: slow\nERROR: No matching distribution found for fake-weights\n"
                return subprocess.CompletedProcess(command, 1, "", error)
            folder = Path(command[command.index("-d") + 1])
            folder.mkdir()
            with zipfile.ZipFile(folder / "fake_weights-1.0-py3-none-any.whl", "w") as wheel:
                for name, content in members.items():
                    wheel.writestr(name, content)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", run)
        return commands

    return pretend
