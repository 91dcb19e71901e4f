"""torchvision's classification networks by torch: pictures in, vectors out, batch norms folded."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError
from torchvision import models

from pipeline.base.errors import PipelineError

# Their published weights were trained on inputs that these two rescale by themselves, if told to.
# Their layers' own initialisation takes seconds and is overwritten here.
_RESCALING = {"transform_input": True, "init_weights": False}
_OPTIONS = {"googlenet": _RESCALING, "inception_v3": _RESCALING}
# What starts on a batch returns a function that gives its vectors. On a GPU that function waits for
# them; until it is called, the caller is free to prepare and start the next batch.
Vectors = Callable[[], np.ndarray]
# Runs before a graph is recorded, in which libraries choose their algorithms.
WARM_UP = 3


class PictureNetwork(nn.Module):
    """A network in evaluation mode, from stored pictures to vectors; refuse other weights.

    Pictures are scaled as the architecture's published weights want it: by ImageNet's mean and
    standard deviation, but for efficientnet_v2_l. All networks get 224 x 224 pixels, also those
    whose weights were trained on more (EfficientNet, Inception: they take any resolution and lose
    a little); weights that fit another resolution alone, such as vit_b_16's for 384, are refused.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: str, weights: Path, layer: str) -> None:
        super().__init__()
        network = _network(architecture, weights)
        linear = [name for name, m in network.named_modules() if isinstance(m, nn.Linear)]
        if not linear:
            raise PipelineError(f"{architecture} ends in no linear layer; name another one")
        if layer == "pooled":
            network.set_submodule(linear[-1], nn.Identity())
        self.network = _folded(network)
        self.precision = torch.float32
        for name, values in zip(("mean", "std"), scaling(architecture), strict=True):
            self.register_buffer(name, 255 * torch.tensor(values).reshape(1, 3, 1, 1))
        self.eval()

    def in_precision(self, precision: torch.dtype) -> "PictureNetwork":
        """Round the weights, folded in float32, to the arithmetic that they are to be used in."""
        self.precision = precision
        self.network.to(precision)
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode uint8 RGB [picture, 224, 224, 3] to [picture, feature] float32.

        Seen as [picture, 3, 224, 224] they are in PyTorch's channels_last layout already.
        """
        pixels = pictures.permute(0, 3, 1, 2).float()
        normal = (pixels - self.mean) / self.std
        vectors: Tensor = self.network(normal.to(self.precision))
        return vectors.float()


def scaling(architecture: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of red, green and blue that the published weights expect."""
    wanted = models.get_model_weights(architecture).DEFAULT.transforms()
    return wanted.mean, wanted.std


def _network(architecture: str, weights: Path) -> nn.Module:
    if architecture not in models.list_models(module=models):
        raise PipelineError(
            f"got {architecture!r}, which is not a classification model of torchvision; "
            f"it has {', '.join(models.list_models(module=models))}"
        )
    try:
        options = _OPTIONS.get(architecture, {})
        network: nn.Module = models.get_model(architecture, weights=None, **options)
        if weights.suffix == ".safetensors":
            network.load_state_dict(load_file(weights))
        else:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:  # random bytes make the unpickler raise almost anything
        raise PipelineError(
            f"{weights} holds no weights of the torchvision model {architecture!r}: {error}"
        ) from error
    return network.eval().requires_grad_(False)


def _folded(network: nn.Module) -> nn.Module:
    """Fold each batch norm into its convolution, where that can be done.

    The sums are the same but for rounding; MobileNet V2 was 1.9 times as fast on two cores.
    """
    try:
        folded: nn.Module = fuse(network)
    except (TraceError, RuntimeError, TypeError):
        return network
    return folded


def eager(network: PictureNetwork, device: str) -> Callable[[np.ndarray], Vectors]:
    """Compute a batch at once, on the CPU or on a device that is waited for."""
    # On a CPU too this is the faster layout: 1.3 times for mobilenet_v2 on 2 threads.
    network = network.to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def start(batch: np.ndarray) -> Vectors:
        vectors = network(torch.from_numpy(batch).to(device)).cpu().numpy()
        return lambda: vectors

    return start


class Cuda:
    """torch on an NVIDIA GPU, which copies, computes and fetches while the CPU does other things.

    The network is recorded once as a CUDA graph and replayed for every batch: launched one by one,
    its kernels would wait for Python, which the threads that decode pictures keep busy.
    """

    def __init__(self, network: PictureNetwork, precision: str) -> None:
        lower = network.in_precision(getattr(torch, precision))
        self._network = lower.to("cuda").to(memory_format=torch.channels_last)
        self._copies = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._run: Callable[[Tensor], Tensor] | None = None

    @torch.inference_mode()
    def start(self, batch: np.ndarray) -> Vectors:
        """Put copy, network and fetching of a batch in page-locked memory into the GPU's queues."""
        computing = torch.cuda.current_stream()
        with torch.cuda.stream(self._copies):  # while an earlier batch is computed
            pictures = torch.from_numpy(batch).to("cuda", non_blocking=True)
        computing.wait_stream(self._copies)
        pictures.record_stream(computing)  # so that its memory is not reused for a copy too early
        if self._run is None:
            self._run = _recorded(self._network, pictures)
        vectors = self._run(pictures)
        fetched = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        fetched.copy_(vectors, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(computing)
        return partial(_fetch, done, fetched, batch)


def _recorded(network: PictureNetwork, example: Tensor) -> Callable[[Tensor], Tensor]:
    """The network as a graph, as it is where its steps cannot be recorded.

    What it returns is overwritten by the next batch.
    """

    def run(pictures: Tensor) -> Tensor:
        # `flags` switches cuDNN off unless told otherwise. By default cuDNN rounds float32
        # convolutions to TF32, a mantissa of 10 bits.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return network(pictures)  # type: ignore[no-any-return]

    given, graph = example.clone(), torch.cuda.CUDAGraph()
    try:
        for _ in range(WARM_UP):
            run(given)
        # Threads beside this one go on with page-locked memory of theirs.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            vectors = run(given)
    except RuntimeError:
        return run

    def replay(pictures: Tensor) -> Tensor:
        given.copy_(pictures)
        graph.replay()
        return vectors

    return replay


def _fetch(done: torch.cuda.Event, fetched: Tensor, _kept_until_copied: np.ndarray) -> np.ndarray:
    done.synchronize()
    # Out of page-locked memory, which is for batches under way.
    vectors: np.ndarray = fetched.numpy().copy()
    return vectors
