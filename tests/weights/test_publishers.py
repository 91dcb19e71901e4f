"""Encoders that the lock does not know: checked by their publisher's digests, then by a pin."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from torchvision.models import ResNet18_Weights

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Role
from pipeline.weights.folder import load
from pipeline.weights.install import install
from pipeline.weights.pin import PIN
from pipeline.weights.store import EncoderFiles, bring
from tests.weights.conftest import BYTES, REVISION, SHA256, WebServer

NAME = f"owner/model@{REVISION}"
WEIGHTS = "ResNet18_Weights.IMAGENET1K_V1"
TENSORS = save({"a": torch.ones(3)})
CONFIG = json.dumps({"architectures": ["BertModel"], "model_type": "bert"}).encode()
FILES = {
    "config.json": CONFIG,
    "model.safetensors": TENSORS,
    "tokenizer.json": b"{}",
    "vocab.txt": b"[PAD]\n",
    "pytorch_model.bin": b"a pickle",
    "onnx/model.onnx": b"not asked for",
    "README.md": b"# Model",
}


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "weights"


@pytest.fixture
def hub(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publishes a repository on a hub of this machine, big files in LFS; `forged` arrive wrong."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", web.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", web.address + URL)

    def publish(files: dict[str, bytes], forged: dict[str, bytes] | None = None) -> None:
        siblings = []
        for name, content in files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
            entry["blobId"] = git_blob(content)
            if name.endswith((".safetensors", ".bin")):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 100}
            siblings.append(entry)
            given = {**files, **(forged or {})}[name]
            web.serve(f"/owner/model/resolve/{REVISION}/{name}", given)
            web.headers[f"/owner/model/resolve/{REVISION}/{name}"] = {
                "ETag": f'"{hashlib.sha256(given).hexdigest()}"',
                "X-Repo-Commit": REVISION,
            }
        info = {
            "id": "owner/model",
            "sha": REVISION,
            "siblings": siblings,
            "tags": [],
            "cardData": {"license": "apache-2.0"},
        }
        reply = json.dumps(info).encode()
        web.serve(f"/api/models/owner/model/revision/{REVISION}?blobs=true", reply)

    return publish


URL = "/{repo_id}/resolve/{revision}/{filename}"


def text(store: Path, name: str = NAME, role: Role = "text") -> EncoderFiles:
    return bring(name, store, role=role, setting=f"{role}.meld.encoder")


def test_a_repository_is_fetched_checked_and_pinned(
    store: Path, hub: Callable[..., None], web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(FILES)
    found = text(store)
    assert found.folder == store / f"owner--model--{REVISION}"
    names = ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]
    assert sorted(path.name for path in found.folder.iterdir()) == sorted([*names, PIN])
    assert {f.name: f.sha256 for f in found.entry.files} == {
        name: hashlib.sha256(FILES[name]).hexdigest() for name in names
    }
    assert (found.entry.name, found.entry.revision) == ("owner/model", REVISION)
    assert (found.entry.architecture, found.entry.licence) == ("BertModel", "apache-2.0")
    # From here on no hub is needed.
    asked = len(web.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert text(store) == found
    assert len(web.asked) == asked


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt"])
def test_a_file_that_is_not_the_announced_one_is_refused(
    store: Path, hub: Callable[..., None], name: str
) -> None:
    hub(FILES, forged={name: FILES[name][:-1] + b"!"})
    with pytest.raises(PipelineError) as caught:
        text(store)
    kind = "SHA-256" if name == "model.safetensors" else "git blob SHA-1"
    digest = hashlib.sha256(TENSORS).hexdigest() if kind == "SHA-256" else git_blob(FILES[name])
    message = str(caught.value)
    assert f"HuggingFace hub owner/model@01234567: got {kind} " in message
    assert f"with {kind} {digest}" in message
    assert not (store / f"owner--model--{REVISION}" / PIN).exists()


def test_after_the_first_time_every_byte_is_checked_offline(
    store: Path, hub: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(FILES)
    path = text(store).folder / "vocab.txt"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    path.write_bytes(b"[PAX]\n")
    with pytest.raises(PipelineError, match=r"not those of owner/model:\n.*vocab.txt: got SHA-256"):
        text(store)
    assert path.read_bytes() == b"[PAX]\n"
    path.unlink()
    (path.parent / PIN).write_text("{}")
    with pytest.raises(PipelineError, match=r"pinned.json cannot be used; delete it"):
        text(store)


def test_a_lost_file_is_fetched_again_by_the_pin(store: Path, hub: Callable[..., None]) -> None:
    hub(FILES)
    folder = text(store).folder
    (folder / "model.safetensors").unlink()
    hub({**FILES, "model.safetensors": TENSORS})
    assert (text(store).folder / "model.safetensors").read_bytes() == TENSORS


def test_shards_come_with_their_index(store: Path, hub: Callable[..., None]) -> None:
    files = dict(FILES)
    del files["model.safetensors"]
    shards = {f"model-0000{n}-of-00002.safetensors": save({f"{n}": torch.ones(n)}) for n in (1, 2)}
    hub({**files, **shards, "model.safetensors.index.json": b"{}", "other.safetensors": TENSORS})
    assert {f.name for f in text(store).entry.files} >= {*shards, "model.safetensors.index.json"}
    assert "other.safetensors" not in {f.name for f in text(store).entry.files}


def test_a_repository_of_pickles_is_refused(store: Path, hub: Callable[..., None]) -> None:
    hub({name: data for name, data in FILES.items() if not name.endswith(".safetensors")})
    with pytest.raises(PipelineError) as caught:
        text(store)
    message = str(caught.value)
    assert (
        "owner/model at 01234567 has no weights as safetensors, only pytorch_model.bin" in message
    )
    assert "save_pretrained(FOLDER)" in message


def test_sound_needs_its_preprocessor_and_no_tokenizer(
    store: Path, hub: Callable[..., None]
) -> None:
    hub({**FILES, "preprocessor_config.json": b"{}"})
    found = text(store, role="audio")
    assert [file.name for file in found.entry.files] == [
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
    ]


def test_a_hub_that_does_not_answer_is_told(
    store: Path, monkeypatch: pytest.MonkeyPatch, web: WebServer
) -> None:
    with pytest.raises(PipelineError, match=r"text\.meld\.encoder: .*HF_HUB_OFFLINE is set"):
        text(store)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", web.address)
    with pytest.raises(PipelineError, match=rf"what is in owner/model@{REVISION}: .*404"):
        text(store)
    assert not list(store.glob("*/*"))


def torchvision_serves(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, body: bytes, digest: str = SHA256
) -> str:
    name = f"resnet18-{digest[:8]}.pth"
    url = web.serve(f"/models/{name}", body)
    monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", url)
    return name


def pictures(store: Path, name: str = WEIGHTS) -> EncoderFiles:
    return bring(name, store, role="visual", setting="meld.visual.encoder")


def test_torchvisions_weights_are_checked_by_their_name_and_pinned(
    store: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = torchvision_serves(web, monkeypatch, BYTES)
    found = pictures(store)
    assert found.folder == store / WEIGHTS
    assert (found.entry.architecture, found.entry.revision) == ("resnet18", WEIGHTS)
    assert [(f.name, f.sha256, f.bytes) for f in found.entry.files] == [(name, SHA256, len(BYTES))]
    assert pictures(store) == found
    assert web.asked == [f"/models/{name}"]
    install(WEIGHTS, "visual", tmp_path / "out", store, "meld.visual.encoder")
    encoder = load(tmp_path / "out")
    assert (encoder.name, encoder.files) == ("resnet18", {name: SHA256})
    # The name holds 8 digits only; the pin holds them all.
    (found.folder / name).write_bytes(BYTES + b"!")
    with pytest.raises(PipelineError, match=f"expected {SHA256}"):
        pictures(store)


def test_torchvisions_weights_with_another_digest_are_refused(
    store: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = torchvision_serves(web, monkeypatch, b"forged")
    with pytest.raises(PipelineError) as caught:
        pictures(store)
    assert f"put it at {(store / WEIGHTS / name).absolute()}" in str(caught.value)
    assert f"with SHA-256 {SHA256[:8]}" in str(caught.value)
    assert [path.name for path in (store / WEIGHTS).iterdir()] == []


def test_torchvisions_weights_may_be_put_there_without_a_network(
    store: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = torchvision_serves(web, monkeypatch, b"forged")
    (store / WEIGHTS).mkdir(parents=True)
    (store / WEIGHTS / name).write_bytes(BYTES)
    assert pictures(store).entry.files[0].sha256 == SHA256
    assert web.asked == []


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `mine` in the working folder with a whole text encoder and other things."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(content)
    return tmp_path / "mine"


def test_a_folder_is_taken_as_it_is(store: Path, mine: Path, tmp_path: Path) -> None:
    install("./mine", "text", tmp_path / "out", store, "meld.text.encoder")
    encoder = load(tmp_path / "out")
    assert (encoder.name, encoder.architecture) == ("./mine", "BertModel")
    assert sorted(encoder.files) == [
        "config.json", "model.safetensors", "tokenizer.json", "vocab.txt"
    ]  # fmt: skip
    assert not store.exists()
    digest = encoder.digest
    (mine / "vocab.txt").write_bytes(b"[UNK]\n")
    install("./mine", "text", tmp_path / "out", store, "meld.text.encoder")
    assert load(tmp_path / "out").digest != digest


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_folder_of_pictures_has_one_state_dict(
    store: Path, mine: Path, tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "states"
    folder.mkdir()
    (folder / f"best.{suffix}").write_bytes(BYTES)
    (folder / "notes.txt").write_text("a note")
    install("resnet50:./states", "visual", tmp_path / "out", store, "meld.visual.encoder")
    encoder = load(tmp_path / "out")
    assert (encoder.architecture, encoder.files) == ("resnet50", {f"best.{suffix}": SHA256})
    (folder / "second.pth").write_bytes(BYTES)
    with pytest.raises(PipelineError, match="expected a folder with one state dict"):
        pictures(store, "resnet50:./states")


@pytest.mark.parametrize(
    ("remove", "told"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "only pytorch_model.bin, which may run code"),
    ],
)
def test_a_folder_that_lacks_something_is_told(
    store: Path, mine: Path, remove: str, told: str
) -> None:
    (mine / remove).unlink()
    with pytest.raises(PipelineError, match=told):
        text(store, "./mine")


def test_a_folder_that_is_none_is_told(store: Path, mine: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"text\.meld\.encoder: got './nowhere', but .* no folder"
    ):
        text(store, "./nowhere")
    (mine / "vocab.txt").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"vocab\.txt is empty or has a name"):
        text(store, "./mine")
