"""The lock file: the committed one holds to its schema, and the schema refuses what is unsafe."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.base.errors import PipelineError
from pipeline.weights.lock import of_role, read_lock
from tests.weights.conftest import HUB, NOWHERE, PYPI, SHA256, encoder


def test_the_committed_lock_names_every_encoder() -> None:
    lock = read_lock()
    assert of_role(lock, "visual") == ["mobilenet_v2", "resnet101"]
    assert of_role(lock, "text") == ["all-MiniLM-L6-v2", "roberta-base"]
    assert of_role(lock, "faces") == ["yunet", "yunet-int8"]
    assert of_role(lock, "audio") == []
    assert lock["roberta-base"].architecture == "RobertaModel"


def test_committed_digests_are_whole_and_begin_as_upstream_names_them() -> None:
    files = {name: file for e in read_lock().values() for name, file in e.files.items()}
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in files.values())
    for name in ("resnet101-cd907fc2.pth", "mobilenet_v2-b0353104.pth"):
        assert files[name].sha256.startswith(name.split("-")[1].removesuffix(".pth"))
    assert "encoder.json" not in files  # the encoder folder's own record


def test_committed_hub_sources_are_at_the_encoders_revision() -> None:
    for entry in read_lock().values():
        for source in entry.sources:
            if source.startswith("hub:"):
                assert source.endswith(f"@{entry.revision}")


@pytest.mark.parametrize(
    "name", ["../model.bin", "/etc/model.bin", "a/../b", ".hidden", "a//b", "a\\b", "", "-rf"]
)
def test_unsafe_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        encoder(HUB, files={name: {"bytes": 1, "sha256": SHA256}})


@pytest.mark.parametrize("changes", [{"sha256": "F" * 64}, {"bytes": 0}, {"md5": "1"}])
def test_bad_digests_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        encoder(HUB, files={"model.bin": {"bytes": 1, "sha256": SHA256, **changes}})


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc/passwd",
        "https://example.org/models/",
        "hub:owner/model@main",
        "pypi:--index-url=https://example.org==1.0/weights",
        "pypi:fake-weights==1.0 --pre/weights",
        "pypi:fake-weights==1.0/../escape",
        "torrent:model",
    ],
)
def test_bad_sources_are_refused(source: str) -> None:
    with pytest.raises(ValidationError):
        encoder(source)
    assert encoder(HUB, PYPI, NOWHERE).sources == (HUB, PYPI, NOWHERE)


@pytest.mark.parametrize("text", ["resnet101: {role: visual}\n", "../up: {}\n", "[]", "{", "a: 1"])
def test_a_broken_lock_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.yaml"
    path.write_text(text)
    with pytest.raises(PipelineError, match="restore the committed file"):
        read_lock(path)
