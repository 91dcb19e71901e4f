"""Any torchvision classification network as an encoder of pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError
from torchvision.models import get_model

from pipeline.chunks import chunked
from pipeline.errors import PipelineError

SIDE = 224
# ImageNet's statistics, which every torchvision classification network was trained with.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class ImageEncoder:
    """A network in evaluation mode, fed in batches of one fixed shape.

    On a CPU the last bits of a row depend on the shape of its batch, not on its neighbours. So
    the last batch is filled up, and a picture's vector does not depend on what it is run with.

    Args:
        architecture: A torchvision model's name.
        weights: Its state dict, a `.pth` file.
        layer: `logits`, or `pooled`: what the last linear layer reads.
        device: `cpu`, `cuda` or `mps`.
        precision: `float32`; on cuda also `bfloat16` or `float16`. A CPU always uses float32.
        batch_size: Pictures per forward pass.

    Raises:
        PipelineError: The weights are not a state dict of this architecture.
    """

    def __init__(
        self,
        *,
        architecture: str,
        weights: Path,
        layer: str,
        device: str,
        precision: str,
        batch_size: int,
    ) -> None:
        self.device, self.batch_size = device, batch_size
        low = device == "cuda" and precision != "float32"
        self.precision = getattr(torch, precision) if low else torch.float32
        self.network = _network(architecture, weights)
        last = _last_linear(self.network, architecture)
        self.dimension = last.out_features if layer == "logits" else last.in_features
        if layer == "pooled":
            _bypass(self.network, last)
        self.network = _fused(self.network)
        self.network.to(device, self.precision)
        # On a CPU too this is the faster layout: 1.3 times for mobilenet_v2 on 2 threads.
        self.network.to(memory_format=torch.channels_last)
        shape = (1, 3, 1, 1)
        self.mean = 255 * torch.tensor(MEAN, device=device).reshape(shape)
        self.std = 255 * torch.tensor(STD, device=device).reshape(shape)

    def encode(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Vectors of pictures, in order.

        Args:
            images: uint8 RGB [224, 224, 3] each.

        Yields:
            [feature] float32.
        """
        for chunk in chunked(images, self.batch_size):
            yield from self._forward(np.stack(chunk))[: len(chunk)]

    @torch.inference_mode()
    def _forward(self, pictures: np.ndarray) -> np.ndarray:
        """[picture, 224, 224, 3] uint8 to [batch_size, feature]."""
        batch = torch.zeros(self.batch_size, *pictures.shape[1:], dtype=torch.uint8)
        batch[: len(pictures)] = torch.from_numpy(pictures)
        if self.device == "cuda":
            batch = batch.pin_memory()
        pixels = batch.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float()
        normal = ((pixels - self.mean) / self.std).to(self.precision)
        # cuDNN rounds float32 convolutions to TF32, a mantissa of 10 bits, unless told not to.
        with torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
            vectors: Tensor = self.network(normal.contiguous(memory_format=torch.channels_last))
        return vectors.float().cpu().numpy()


def _network(architecture: str, weights: Path) -> nn.Module:
    try:
        network: nn.Module = get_model(architecture, weights=None)
        state: Any = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # random bytes make the unpickler raise almost anything
        raise PipelineError(
            f"{weights} holds no weights of the torchvision model {architecture!r}: {error}"
        ) from error
    return network.eval().requires_grad_(False)


def _fused(network: nn.Module) -> nn.Module:
    """The network with each batch norm folded into its convolution, as it is if that cannot be.

    The sums are the same but for rounding; MobileNet V2 was 1.9 times as fast on two cores.
    """
    try:
        fused: nn.Module = fuse(network)
    except (TraceError, RuntimeError, TypeError):
        return network
    return fused


def _last_linear(network: nn.Module, architecture: str) -> nn.Linear:
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise PipelineError(f"{architecture} ends in no linear layer; name another architecture")
    return linear[-1]


def _bypass(network: nn.Module, layer: nn.Linear) -> None:
    for parent in network.modules():
        for name, child in parent.named_children():
            if child is layer:
                setattr(parent, name, nn.Identity())
