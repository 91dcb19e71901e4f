"""`ImageEncoder`: agreement with torchvision in every family, what matters, refused weights."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights, mobilenet_v2

from benchmarks.random_network import random_network
from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.features.common.device import arithmetic, picture_backend
from pipeline.features.visual.encoder import EXPORT, ImageEncoder
from pipeline.features.visual.network import PictureNetwork, scaling

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Random weights of an architecture, saved as torchvision's own files are."""
    folder = tmp_path_factory.mktemp("weights")

    def save(architecture: str) -> Path:
        path = folder / f"{architecture}.pth"
        if not path.is_file():
            torch.save(random_network(architecture).state_dict(), path)
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
        "backend": "torch",
        "threads": 2,
    }
    return ImageEncoder(**{**settings, **changes})


def load(weights: Path, **changes: Any) -> None:
    """Lets an encoder load its weights, which it does for its first batch."""
    tested = encoder(weights, **changes)
    tested.start(tested.room())


def pictures(count: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    noise[:, :100, :, 1] //= 4  # channels are told apart
    return noise


def vectors_of(tested: ImageEncoder, images: np.ndarray) -> np.ndarray:
    found = []
    for first in range(0, len(images), tested.batch_size):
        part = images[first : first + tested.batch_size]
        batch = tested.room()
        batch[: len(part)] = part
        found.append(tested.start(batch)()[: len(part)])
    return np.concatenate(found)


def plainly(
    architecture: str, weights: Path, images: np.ndarray, last: str | None = None
) -> np.ndarray:
    """A forward of one picture at a time, as torchvision's own weights are used.

    Without downloading them: a published name's options are those that `get_model` would set.
    """
    rescaling = {"transform_input": True, "init_weights": False}
    options = rescaling if architecture in ("googlenet", "inception_v3") else {}
    network = get_model(architecture, weights=None, **options)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    if last is not None:
        parent, _, name = last.rpartition(".")
        setattr(network.get_submodule(parent), name, torch.nn.Identity())
    prepare = get_model_weights(architecture).DEFAULT.transforms(crop_size=224, resize_size=224)
    with torch.inference_mode():
        rows = [network(prepare(torch.from_numpy(i).permute(2, 0, 1))[None])[0] for i in images]
    return torch.stack(rows).numpy()


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-4 of the largest value: random weights let values grow large or stay small."""
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(found[0] - found[1]).max() > 1e-3 * np.abs(expected).max(), "all look the same"


QUICK = {"mobilenet_v2": ("classifier.1", 1280), "shufflenet_v2_x0_5": ("fc", 1024)}
SLOW = {
    "convnext_tiny": ("classifier.2", 768),
    "densenet121": ("classifier", 1024),
    "efficientnet_b0": ("classifier.1", 1280),
    "googlenet": ("fc", 1024),
    "inception_v3": ("fc", 2048),
    "resnet101": ("fc", 2048),
    "swin_t": ("head", 768),
    "vit_b_16": ("heads.head", 768),
}
FAMILIES = [
    *((name, *last) for name, last in QUICK.items()),
    *(pytest.param(name, *last, marks=pytest.mark.slow) for name, last in SLOW.items()),
]


@pytest.mark.parametrize(("architecture", "last", "width"), FAMILIES)
def test_vectors_agree_with_torchvision(
    saved: Folder, architecture: str, last: str, width: int
) -> None:
    weights, images = saved(architecture), pictures(3)
    for layer, cut, dimension in (("logits", None, 1000), ("pooled", last, width)):
        tested = encoder(weights, architecture=architecture, layer=layer, batch_size=2)
        expected = plainly(architecture, weights, images, cut)
        assert expected.shape == (3, dimension)
        assert_close(vectors_of(tested, images), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture",
    ["mobilenet_v2", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def test_onnx_runtime_agrees_with_eager_float32(saved: Folder, architecture: str) -> None:
    weights, images = saved(architecture), pictures(3)
    tested = encoder(weights, architecture=architecture, backend="onnxruntime", batch_size=2)
    assert_close(vectors_of(tested, images), plainly(architecture, weights, images))


@pytest.mark.slow
def test_an_export_that_was_kept_gives_the_same_bytes_without_the_weights(
    saved: Folder, tmp_path: Path
) -> None:
    exports = ClipCache("networks", 1, EXPORT, tmp_path)
    images, weights = pictures(2), saved("mobilenet_v2")
    chosen: dict[str, Any] = {"backend": "onnxruntime", "batch_size": 2}
    plain = vectors_of(encoder(weights, **chosen), images)
    kept = vectors_of(encoder(weights, exports=exports, **chosen), images)
    again = vectors_of(encoder(tmp_path / "gone.pth", exports=exports, **chosen), images)
    assert plain.tobytes() == kept.tobytes() == again.tobytes()


def test_safetensors_hold_weights_as_well(saved: Folder, tmp_path: Path) -> None:
    state = torch.load(saved("mobilenet_v2"), weights_only=True)
    save_file(state, tmp_path / "weights.safetensors")
    images = pictures(2)
    expected = vectors_of(encoder(saved("mobilenet_v2")), images)
    assert (vectors_of(encoder(tmp_path / "weights.safetensors"), images) == expected).all()
    (tmp_path / "weights.safetensors").write_bytes(b"rubbish")
    with pytest.raises(PipelineError, match="holds no weights"):
        load(tmp_path / "weights.safetensors")


def test_efficientnet_v2_l_is_fed_as_its_weights_want() -> None:
    """The one architecture whose published weights are not trained with ImageNet's statistics."""
    assert scaling("efficientnet_v2_l") == ([0.5] * 3, [0.5] * 3)
    assert scaling("mobilenet_v2") == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_batch_norms_are_folded_in_float32_and_rounded_afterwards(saved: Folder) -> None:
    whole = PictureNetwork("mobilenet_v2", saved("mobilenet_v2"), "pooled")
    assert not [m for m in whole.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    folded = {name: value.clone() for name, value in whole.network.named_parameters()}
    assert {value.dtype for value in folded.values()} == {torch.float32}
    low = whole.in_precision(torch.bfloat16)
    for name, value in low.network.named_parameters():
        assert torch.equal(value, folded[name].to(torch.bfloat16))
    assert low.mean.dtype == low.std.dtype == torch.float32
    images = torch.from_numpy(pictures(1))
    assert low(images).dtype == torch.float32


def test_only_what_moves_a_bit_enters_the_fingerprint() -> None:
    on_cpu = {"device": "cpu", "threads": 2}
    assert arithmetic("cpu", 2, "float16") == arithmetic("cpu", 2, "float32") == on_cpu
    assert arithmetic("cuda", 7, "float16") == {"device": "cuda", "precision": "float16"}
    assert picture_backend("cpu", "onnxruntime") == "onnxruntime"
    assert picture_backend("cuda", "onnxruntime") == picture_backend("mps", "torch") == "torch"


class Malicious:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
def test_malicious_pickle_is_refused_unread(tmp_path: Path, form: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "weights.pth"
    bad = {"features.0.0.weight": Malicious(trace)}
    torch.save(bad, path, _use_new_zipfile_serialization=form == "zip")
    if form == "plain":
        path.write_bytes(pickle.dumps(bad))
    with pytest.raises(PipelineError, match="holds no weights of the torchvision model"):
        load(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes()) if form == "plain" else torch.load(path, weights_only=False)
    assert trace.exists(), "the trap itself must work"


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


@pytest.mark.slow
def test_corrupt_weights_are_told(saved: Folder, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for name, data in rubbish(saved("mobilenet_v2").read_bytes()).items():
        path.write_bytes(data)
        with pytest.raises(PipelineError, match="holds no weights"):
            load(path)
            pytest.fail(name)


@pytest.mark.parametrize(
    "state", [[1, 2], 3, {}, {"features": 1}, {1: torch.ones(1)}, {"a": torch.ones(1)}, None]
)
def test_other_contents_are_told(tmp_path: Path, state: Any) -> None:
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(PipelineError, match="holds no weights"):
        load(tmp_path / "weights.pth")


def test_weights_of_another_network_or_class_count(saved: Folder, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="holds no weights of the torchvision model 'resnet"):
        load(saved("mobilenet_v2"), architecture="resnet18")
    torch.save(mobilenet_v2(num_classes=7).state_dict(), tmp_path / "seven.pth")
    with pytest.raises(PipelineError, match="size mismatch"):
        load(tmp_path / "seven.pth")


def test_absent_weights_and_unknown_architecture(saved: Folder, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="No such file"):
        load(tmp_path / "absent.pth")
    with pytest.raises(PipelineError, match="resnet100"):
        load(saved("mobilenet_v2"), architecture="resnet100")
    with pytest.raises(PipelineError, match="ends in no linear layer"):
        load(saved("squeezenet1_1"), architecture="squeezenet1_1")
