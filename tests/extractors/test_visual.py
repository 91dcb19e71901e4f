"""`ImageEncoder`: agreement with torchvision, independence of batch mates, refused weights."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import ResNet101_Weights, get_model, mobilenet_v2

from pipeline.errors import PipelineError
from pipeline.extractors.visual import ImageEncoder

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Random weights of an architecture, saved as torchvision's own files are."""
    folder = tmp_path_factory.mktemp("weights")

    def save(architecture: str) -> Path:
        path = folder / f"{architecture}.pth"
        if not path.is_file():
            torch.manual_seed(0)
            network = get_model(architecture, weights=None)
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            with torch.no_grad():  # without statistics that fit, all pictures look the same
                network.train()(torch.randn(2, 3, 224, 224))
            torch.save(network.state_dict(), path)
        return path

    return save


def encoder(weights: Path, **changes: Any) -> ImageEncoder:
    settings = {
        "architecture": "mobilenet_v2",
        "weights": weights,
        "layer": "logits",
        "device": "cpu",
        "precision": "float32",
        "batch_size": 4,
    }
    return ImageEncoder(**{**settings, **changes})


def pictures(count: int) -> list[np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    noise[:, :100, :, 1] //= 4  # channels are told apart
    return list(noise)


def plainly(architecture: str, weights: Path, images: list[np.ndarray], layer: str) -> np.ndarray:
    """A plain forward of one picture at a time, with torchvision's own preprocessing."""
    network = get_model(architecture, weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    if layer == "pooled":
        last = "fc" if architecture.startswith("resnet") else "classifier"
        setattr(network, last, torch.nn.Identity())
    prepare = ResNet101_Weights.IMAGENET1K_V1.transforms(crop_size=224, resize_size=224)
    rows = []
    with torch.inference_mode():
        for image in images:
            pixels = prepare(torch.from_numpy(image).permute(2, 0, 1))
            rows.append(network(pixels[None])[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize(
    ("architecture", "layer", "dimension"),
    [
        ("resnet101", "logits", 1000),
        ("resnet101", "pooled", 2048),
        ("mobilenet_v2", "logits", 1000),
        ("mobilenet_v2", "pooled", 1280),
    ],
)
def test_vectors_agree_with_torchvision(
    saved: Folder, architecture: str, layer: str, dimension: int
) -> None:
    weights, images = saved(architecture), pictures(3)
    tested = encoder(weights, architecture=architecture, layer=layer, batch_size=2)

    vectors = np.stack(list(tested.encode(images)))

    assert vectors.shape == (3, dimension) == (3, tested.dimension)
    assert vectors.dtype == np.float32
    expected = plainly(architecture, weights, images, layer)
    # Random weights let values grow large or stay small: the measure is their own size.
    assert np.abs(vectors - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3 * np.abs(expected).max()


def test_batch_mates_do_not_change_a_byte(saved: Folder) -> None:
    images = pictures(7)
    tested = encoder(saved("mobilenet_v2"))
    together = [vector.tobytes() for vector in tested.encode(images)]
    alone = [next(iter(tested.encode([image]))).tobytes() for image in images]
    order = [5, 0, 3, 6, 1, 4, 2]
    shuffled = [vector.tobytes() for vector in tested.encode(images[n] for n in order)]
    assert alone == together
    assert shuffled == [together[n] for n in order]


def test_no_pictures_give_no_vectors(saved: Folder) -> None:
    assert list(encoder(saved("mobilenet_v2")).encode([])) == []


def test_encoding_is_lazy(saved: Folder) -> None:
    """A corpus of pictures does not fit into memory."""
    images = iter(pictures(7))
    found = encoder(saved("mobilenet_v2")).encode(images)
    next(found)
    assert len(list(images)) == 3


class Malicious:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("zipped", [True, False])
def test_malicious_pickle_is_refused_unread(tmp_path: Path, zipped: bool) -> None:
    trace, path = tmp_path / "trace", tmp_path / "weights.pth"
    bad = {"features.0.0.weight": Malicious(trace)}
    torch.save(bad, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(PipelineError, match="holds no weights of the torchvision model"):
        encoder(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "the trap itself must work"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_plain_malicious_pickle_is_refused_unread(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Malicious(trace)))
    with pytest.raises(PipelineError, match="holds no weights"):
        encoder(path)
    assert not trace.exists()


def rubbish(whole: bytes) -> dict[str, bytes]:
    noise = {f"noise_{n}": np.random.default_rng(n).bytes(500) for n in range(20)}
    return {
        **noise,
        "nothing": b"",
        "cut": whole[: len(whole) // 2],
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n",
        "page": b"<!DOCTYPE html><html>404</html>",
        "overwritten": whole[:200] + bytes(400) + whole[600:],
        "zip": b"PK\x03\x04" + bytes(100),
    }


def test_corrupt_weights_are_told(saved: Folder, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for name, data in rubbish(saved("mobilenet_v2").read_bytes()).items():
        path.write_bytes(data)
        with pytest.raises(PipelineError, match="holds no weights"):
            encoder(path)
            pytest.fail(name)


@pytest.mark.parametrize(
    "state", [[1, 2], 3, {}, {"features": 1}, {1: torch.ones(1)}, {"a": torch.ones(1)}, None]
)
def test_other_contents_are_told(tmp_path: Path, state: Any) -> None:
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(PipelineError, match="holds no weights"):
        encoder(tmp_path / "weights.pth")


def test_weights_of_another_network_or_class_count(saved: Folder, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="holds no weights of the torchvision model 'resnet"):
        encoder(saved("mobilenet_v2"), architecture="resnet18")
    torch.save(mobilenet_v2(num_classes=7).state_dict(), tmp_path / "seven.pth")
    with pytest.raises(PipelineError, match="size mismatch"):
        encoder(tmp_path / "seven.pth")


def test_absent_weights_and_unknown_architecture(saved: Folder, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="No such file"):
        encoder(tmp_path / "absent.pth")
    with pytest.raises(PipelineError, match="resnet100"):
        encoder(saved("mobilenet_v2"), architecture="resnet100")
    with pytest.raises(PipelineError, match="ends in no linear layer"):
        encoder(saved("squeezenet1_1"), architecture="squeezenet1_1")
