"""What params.yaml may name as an encoder; a typo is told with what was probably meant."""

from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Role
from pipeline.weights.lock import KnownEncoder, read_lock
from pipeline.weights.names import LocalFolder, Reference, Repository, parse
from tests.weights.conftest import COMMIT


def meant(name: str, role: Role) -> Reference:
    return parse(name, role, f"meld.{role}.encoder", read_lock())


def refused(name: str, role: Role) -> str:
    with pytest.raises(PipelineError) as caught:
        meant(name, role)
    message = str(caught.value)
    assert message.startswith(f"meld.{role}.encoder: got {name!r}, ")
    return message


def test_names_of_the_lock_come_first() -> None:
    assert meant("resnet101", "visual") == read_lock()["resnet101"]
    assert meant("roberta-base", "text") == read_lock()["roberta-base"]
    assert meant("yunet", "faces") == read_lock()["yunet"]


@pytest.mark.parametrize(
    ("name", "model", "file", "digest"),
    [
        ("ResNet50_Weights.IMAGENET1K_V2", "resnet50", "resnet50-11ad3fa6.pth", "11ad3fa6"),
        ("ConvNeXt_Tiny_Weights.IMAGENET1K_V1", "convnext_tiny", None, "983f1562"),
    ],
)
def test_torchvisions_own_names(name: str, model: str, file: str | None, digest: str) -> None:
    found = meant(name, "visual")
    assert isinstance(found, KnownEncoder)
    assert (found.name, found.architecture, found.revision) == (model, model, name)
    assert found.sources == ("https://download.pytorch.org/models",)
    assert [f.sha256 for f in found.files.values()] == [digest]
    assert file is None or list(found.files) == [file]


@pytest.mark.slow
def test_every_classification_model_of_torchvision_tells_its_digest() -> None:
    from torchvision import models

    for model in models.list_models(module=models):
        for weights in models.get_model_weights(model):
            if max(weights.meta["min_size"]) <= 224:
                found = meant(str(weights), "visual")
                assert isinstance(found, KnownEncoder) and found.architecture == model


@pytest.mark.parametrize("role", ["text", "audio"])
def test_repositories_at_a_commit(role: Role) -> None:
    for repo in ("FacebookAI/roberta-base", "facebook/wav2vec2-base_1.0"):
        assert meant(f"{repo}@{COMMIT}", role) == Repository(repo, COMMIT)


@pytest.mark.parametrize("name", ["./my/encoder", "../encoder", "/data/encoder", ".", "/a b/c:d"])
def test_folders(name: str) -> None:
    assert meant(name, "text") == LocalFolder(Path(name), None)
    assert meant(f"resnet50:{name}", "visual") == LocalFolder(Path(name), "resnet50")


def test_folders_of_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = meant("~/encoder", "audio")
    assert isinstance(found, LocalFolder) and found.path == tmp_path / "encoder"


@pytest.mark.parametrize(
    ("name", "role", "told"),
    [
        ("resnet110", "visual", "one of ['mobilenet_v2', 'resnet101']"),
        ("resnet110", "visual", "ResNet50_Weights.IMAGENET1K_V2"),
        ("resnet110", "visual", "did you mean 'resnet101'?"),
        ("roberta-base", "visual", "expected one of ['mobilenet_v2', 'resnet101']"),
        ("roberta_base", "text", "did you mean 'roberta-base'?"),
        ("roberta_base", "text", "OWNER/NAME@COMMIT of huggingface.co, or a folder"),
        ("resnet101", "faces", "expected one of ['yunet', 'yunet-int8']"),
        ("./folder", "faces", "expected one of ['yunet', 'yunet-int8']"),
        ("wav2vec2-base", "audio", "expected OWNER/NAME@COMMIT of huggingface.co, or a folder"),
        ("", "text", "expected one of"),
    ],
)
def test_other_names_are_refused_with_what_is_accepted(name: str, role: Role, told: str) -> None:
    assert told in refused(name, role)


@pytest.mark.parametrize("revision", ["", "@main", "@e2da8e2", f"@{COMMIT.upper()}", "@"])
def test_a_revision_that_may_change_is_refused_and_how_to_find_one_is_told(revision: str) -> None:
    message = refused(f"FacebookAI/roberta-base{revision}", "text")
    assert "so it would not stay the same; write FacebookAI/roberta-base@COMMIT" in message
    assert "git ls-remote https://huggingface.co/FacebookAI/roberta-base HEAD" in message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ResNet50_Weights.IMAGENET1K_V3", "'ResNet50_Weights.IMAGENET1K_V2']"),
        ("ResNet50_Weights.DEFAULT", "which changes with torchvision's version"),
        ("Resnet50_Weights.IMAGENET1K_V2", "did you mean ResNet50_Weights or"),
        ("FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1", "does not know those weights"),
        ("ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1", "at least 384 pixels; ours have 224"),
        ("resnet5:./folder", "does not know the architecture 'resnet5'; did you mean resnet5"),
        ("resnet50:folder", "whose folder 'folder' does not begin with ./, / or ~/"),
        ("./folder", "write ARCHITECTURE:./folder"),
    ],
)
def test_typos_in_torchvisions_names_are_told(name: str, told: str) -> None:
    assert told in refused(name, "visual")
