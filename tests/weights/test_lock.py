"""The lock file: the committed one holds to its schema, and the schema refuses what is unsafe."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.base.errors import PipelineError
from pipeline.weights.lock import LOCK_PATH, HubSource, read_lock
from tests.weights.conftest import (
    hub_source,
    lock_of,
    locked_encoder,
    locked_file,
    one_file_lock,
    package_source,
    url_source,
)

URL = url_source("https://example.org/model.bin")


def test_committed_lock_names_every_encoder() -> None:
    lock = read_lock()
    assert lock.names("visual") == ["mobilenet_v2", "resnet101"]
    assert lock.names("text") == ["all-MiniLM-L6-v2", "roberta-base"]
    assert lock.names("faces") == ["yunet", "yunet-int8"]


def test_committed_digests_are_whole_and_begin_as_upstream_names_them() -> None:
    lock = read_lock()
    files = {file.name: file for encoder in lock.encoders for file in encoder.files}
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in files.values())
    for name in ("resnet101-cd907fc2.pth", "mobilenet_v2-b0353104.pth"):
        assert files[name].sha256.startswith(name.split("-")[1].removesuffix(".pth"))


def test_committed_hub_sources_are_at_the_encoders_revision() -> None:
    for encoder in read_lock().encoders:
        for file in encoder.files:
            for source in file.sources:
                if isinstance(source, HubSource):
                    assert (source.revision, source.path) == (encoder.revision, file.name)


def test_committed_lock_is_one_text_of_plain_ascii() -> None:
    LOCK_PATH.read_bytes().decode("ascii")


@pytest.mark.parametrize(
    "name", ["../model.bin", "/etc/model.bin", "a/../b", ".hidden", "a//b", "a\\b", "", "-rf"]
)
def test_unsafe_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        one_file_lock(URL, name=name)


@pytest.mark.parametrize(
    "changes", [{"sha256": "cd907fc2"}, {"sha256": "F" * 64}, {"bytes": 0}, {"md5": "1"}]
)
def test_bad_pins_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        one_file_lock(URL, **changes)


@pytest.mark.parametrize(
    "source",
    [
        url_source("file:///etc/passwd"),
        url_source("https://example.org/"),
        {**hub_source(), "revision": "main"},
        {**package_source(), "package": "--index-url=https://example.org"},
        {**package_source(), "version": "1.0 --pre"},
        package_source(member="../escape"),
        {"kind": "torrent"},
    ],
)
def test_bad_sources_are_refused(source: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        one_file_lock(source)


def test_doubled_names_and_the_records_own_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="listed twice"):
        lock_of(locked_encoder(locked_file(URL), locked_file(URL)))
    with pytest.raises(ValidationError, match="listed twice"):
        lock_of(locked_encoder(locked_file(URL)), locked_encoder(locked_file(URL)))
    with pytest.raises(ValidationError, match="own record"):
        one_file_lock(URL, name="encoder.json")


def test_size_may_be_unknown() -> None:
    assert one_file_lock(URL, bytes=None).encoders[0].files[0].bytes is None


def test_an_encoder_is_found_by_name_and_role() -> None:
    lock = read_lock()
    assert lock.find("roberta-base", "visual") is None
    for role in ("text", None):
        found = lock.find("roberta-base", role)  # type: ignore[arg-type]
        assert found is not None and found.architecture == "RobertaModel"


def test_broken_lock_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "lock.yaml"
    path.write_text("format: weights/2\nencoders: []\n")
    with pytest.raises(PipelineError, match="restore the committed file"):
        read_lock(path)
