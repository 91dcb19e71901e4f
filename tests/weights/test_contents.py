"""Encoders that the lock does not know: of the hub, of torchvision, or in a folder."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from torchvision.models import ResNet18_Weights

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Role
from pipeline.weights.contents import EncoderFiles
from pipeline.weights.fetch import fetch, install
from pipeline.weights.folder import load
from tests.weights.conftest import BYTES, COMMIT, SHA256, Hub, WebServer

NAME = f"owner/model@{COMMIT}"
WEIGHTS = "ResNet18_Weights.IMAGENET1K_V1"
TENSORS = save({"a": torch.ones(3)})
FILES = {
    "config.json": json.dumps({"architectures": ["BertModel"], "model_type": "bert"}).encode(),
    "model.safetensors": TENSORS,
    "tokenizer.json": b"{}",
    "vocab.txt": b"[PAD]\n",
    "pytorch_model.bin": b"a pickle",
    "onnx/model.onnx": b"not asked for",
    "README.md": b"---\nlicense: apache-2.0\n---\n# Model\n",
}
TAKEN = ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]


def text(store: Path, name: str = NAME, role: Role = "text") -> EncoderFiles:
    return fetch(name, role, store, f"meld.{role}.encoder")


def test_a_repository_is_fetched_once_and_its_digests_are_recorded(
    store: Path, hub: Hub, web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(FILES)
    install(NAME, "text", tmp_path / "out", store, "meld.text.encoder")
    found = load(tmp_path / "out")
    assert found.files == {name: hashlib.sha256(FILES[name]).hexdigest() for name in TAKEN}
    assert (found.name, found.revision) == ("owner/model", COMMIT)
    assert (found.architecture, found.licence) == ("BertModel", "apache-2.0")
    assert not any("pytorch_model" in path or "onnx" in path for path in web.asked)
    # From here on no hub is needed.
    record, asked = (tmp_path / "out/encoder.json").read_bytes(), len(web.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    install(NAME, "text", tmp_path / "out", store, "meld.text.encoder")
    assert (tmp_path / "out/encoder.json").read_bytes() == record
    assert len(web.asked) == asked


def test_weights_that_are_not_the_announced_ones_are_refused(store: Path, hub: Hub) -> None:
    hub(FILES, forged={"model.safetensors": TENSORS[:-1] + b"!"})
    digest = hashlib.sha256(TENSORS).hexdigest()
    with pytest.raises(PipelineError, match=rf"got SHA-256 .*, expected {digest}; delete .*blobs"):
        text(store)


@pytest.mark.parametrize("shard", ["/elsewhere/w.safetensors", "../w.safetensors", "a/../../w"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors.index.json", lambda other: {"weight_map": {"a": "x", "b": other}}),
        ("config.json", lambda other: {"model_type": "bert", "transformers_weights": other}),
        ("tokenizer_config.json", lambda other: {"fast_tokenizer_files": [other]}),
    ],
)
def test_files_of_other_folders_are_not_read(
    store: Path, tmp_path: Path, name: str, content: Any, shard: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for file in ("config.json", "tokenizer.json"):
        (mine / file).write_bytes(FILES[file])
    (mine / "model-00001-of-00001.safetensors").write_bytes(TENSORS)
    (mine / name).write_text(json.dumps(content(shard)))
    with pytest.raises(PipelineError, match=rf"not its own(?s:.*){name}: names '{shard}' in"):
        install(str(mine), "text", tmp_path / "out", store, "meld.text.encoder")
    assert not (tmp_path / "out").exists()
    (mine / name).write_text(json.dumps(content("tokenizer.json")))
    install(str(mine), "text", tmp_path / "out", store, "meld.text.encoder")
    changed = json.dumps(content(shard)).encode()
    (tmp_path / "out" / name).write_bytes(changed)
    record = json.loads((tmp_path / "out/encoder.json").read_text())
    digest = {"bytes": len(changed), "sha256": hashlib.sha256(changed).hexdigest()}
    record["files"][name] = digest
    (tmp_path / "out/encoder.json").write_text(json.dumps(record))
    with pytest.raises(PipelineError, match=rf"{name}: names '{shard}' in"):
        load(tmp_path / "out")


def test_shards_come_with_their_index(store: Path, hub: Hub) -> None:
    shards = {f"model-0000{n}-of-00002.safetensors": save({f"{n}": torch.ones(n)}) for n in (1, 2)}
    files = {name: data for name, data in FILES.items() if name != "model.safetensors"}
    hub({**files, **shards, "model.safetensors.index.json": b"{}", "other.safetensors": TENSORS})
    names = set(text(store).names)
    assert names >= {*shards, "model.safetensors.index.json"}
    assert "other.safetensors" not in names


def test_a_repository_of_pickles_is_refused(store: Path, hub: Hub) -> None:
    hub({name: data for name, data in FILES.items() if not name.endswith(".safetensors")})
    with pytest.raises(PipelineError) as caught:
        text(store)
    assert f"owner/model@{COMMIT} (" in str(caught.value)
    assert "has no weights as safetensors; a pickle may run code" in str(caught.value)
    assert "save_pretrained(FOLDER)" in str(caught.value)


def test_sound_needs_its_preprocessor_and_no_tokenizer(store: Path, hub: Hub) -> None:
    hub({**FILES, "preprocessor_config.json": b"{}"})
    names = ["config.json", "preprocessor_config.json", "model.safetensors"]
    assert list(text(store, role="audio").names) == names


def test_a_hub_that_does_not_answer_is_told_and_what_to_put_where(
    store: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PipelineError, match=r"meld\.text\.encoder: .*offline mode") as caught:
        text(store)
    place = store / f"owner--model--{COMMIT}"
    assert str(caught.value).endswith(f"into {place}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", web.address)
    with pytest.raises(PipelineError, match=rf"could not get owner/model@{COMMIT} .*404"):
        text(store)
    shutil.copytree(folder_of(FILES, store / "copy"), place)
    assert text(store).folder == place
    (place / "vocab.txt").unlink()
    (place / "tokenizer.json").unlink()
    with pytest.raises(PipelineError, match="has no tokenizer: none of"):
        text(store)


def torchvision_serves(web: WebServer, monkeypatch: pytest.MonkeyPatch, body: bytes) -> str:
    name = f"resnet18-{SHA256[:8]}.pth"
    address = web.serve(f"/models/{name}", body)
    monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", f"{address}/{name}")
    return name


def pictures(store: Path, name: str = WEIGHTS) -> EncoderFiles:
    return fetch(name, "visual", store, "meld.visual.encoder")


def test_torchvisions_weights_are_checked_by_their_name_and_recorded(
    store: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = torchvision_serves(web, monkeypatch, BYTES)
    for _ in range(2):
        install(WEIGHTS, "visual", tmp_path / "out", store, "meld.visual.encoder")
    found = load(tmp_path / "out")
    assert (found.name, found.architecture, found.revision) == ("resnet18", "resnet18", WEIGHTS)
    assert found.files == {name: SHA256}
    assert web.asked == [f"/models/{name}"]
    (store / WEIGHTS / name).write_bytes(BYTES + b"!")
    with pytest.raises(PipelineError, match=f"expected {SHA256[:8]}"):
        pictures(store)


def test_torchvisions_weights_with_another_digest_are_refused(
    store: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = torchvision_serves(web, monkeypatch, b"forged")
    with pytest.raises(PipelineError) as caught:
        pictures(store)
    assert f"{store / WEIGHTS / name} (SHA-256 {SHA256[:8]})" in str(caught.value)
    assert list((store / WEIGHTS).iterdir()) == []
    (store / WEIGHTS / name).write_bytes(BYTES)  # put there by hand
    assert list(pictures(store).names) == [name]


def folder_of(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `mine` in the working folder with a whole text encoder and other things."""
    monkeypatch.chdir(tmp_path)
    return folder_of(FILES, tmp_path / "mine")


def test_a_folder_is_taken_as_it_is(store: Path, mine: Path, tmp_path: Path) -> None:
    install("./mine", "text", tmp_path / "out", store, "meld.text.encoder")
    found = load(tmp_path / "out")
    assert (found.name, found.architecture) == ("./mine", "BertModel")
    assert (found.revision, found.licence) == ("local folder", "not stated")
    assert sorted(found.files) == TAKEN
    assert not store.exists()
    (mine / "vocab.txt").write_bytes(b"[UNK]\n")
    install("./mine", "text", tmp_path / "out", store, "meld.text.encoder")
    assert load(tmp_path / "out").digest != found.digest


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_folder_of_pictures_has_one_state_dict(
    store: Path, mine: Path, tmp_path: Path, suffix: str
) -> None:
    states = folder_of({f"best.{suffix}": BYTES, "notes.txt": b"a note"}, tmp_path / "states")
    install("resnet50:./states", "visual", tmp_path / "out", store, "meld.visual.encoder")
    found = load(tmp_path / "out")
    assert (found.architecture, found.files) == ("resnet50", {f"best.{suffix}": SHA256})
    (states / "second.pth").write_bytes(BYTES)
    with pytest.raises(PipelineError, match="expected a folder with one state dict"):
        pictures(store, "resnet50:./states")


@pytest.mark.parametrize(
    ("remove", "reason"),
    [
        ("config.json", "mine has no config.json"),
        ("model.safetensors", "only pytorch_model.bin; a pickle may run code"),
    ],
)
def test_a_folder_that_lacks_something_is_told(
    store: Path, mine: Path, remove: str, reason: str
) -> None:
    (mine / remove).unlink()
    with pytest.raises(PipelineError, match=reason):
        text(store, "./mine")


def test_a_folder_that_cannot_be_used_is_told(store: Path, mine: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"got './nowhere', but .* is not a folder"):
        text(store, "./nowhere")
    (mine / "config.json").write_text("[]")
    with pytest.raises(PipelineError, match=r"config\.json names no kind of model"):
        text(store, "./mine")
    (mine / "config.json").write_bytes(FILES["config.json"])
    (mine / "vocab.txt").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"a file is empty or has a name"):
        install("./mine", "text", tmp_path / "out", store, "meld.text.encoder")
    assert not (tmp_path / "out").exists()
