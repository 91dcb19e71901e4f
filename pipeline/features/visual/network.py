"""torchvision's classification networks: pictures in, vectors out, batch norms folded."""

from pathlib import Path
from typing import Any

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


class PictureNetwork(nn.Module):
    """A network in evaluation mode, from stored pictures to vectors.

    Pictures are scaled as the architecture's published weights want it: by ImageNet's mean and
    standard deviation, but for efficientnet_v2_l. All networks get 224 x 224 pixels, also those
    whose weights were trained on more (EfficientNet, Inception: they take any resolution and lose
    a little); weights that fit another resolution alone, such as vit_b_16's for 384, are refused.

    Args:
        architecture: A torchvision classification model's name.
        weights: Its state dict, a `.pth` or `.safetensors` file.
        layer: `logits`, or `pooled`: what the last linear layer reads.

    Raises:
        PipelineError: No such architecture, or the weights are not a state dict of it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: str, weights: Path, layer: str) -> None:
        super().__init__()
        network = _network(architecture, weights)
        last = _last_linear(network, architecture)
        if layer == "pooled":
            _bypass(network, last)
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
        """Encode a batch.

        Args:
            pictures: uint8 RGB [picture, 224, 224, 3]; seen as [picture, 3, 224, 224] they are in
                PyTorch's channels_last layout already.

        Returns:
            [picture, feature] float32.
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
        network: nn.Module = models.get_model(
            architecture, weights=None, **_OPTIONS.get(architecture, {})
        )
        network.load_state_dict(_state(weights))
    except Exception as error:  # random bytes make the unpickler raise almost anything
        raise PipelineError(
            f"{weights} holds no weights of the torchvision model {architecture!r}: {error}"
        ) from error
    return network.eval().requires_grad_(False)


def _state(weights: Path) -> dict[str, Any]:
    if weights.suffix == ".safetensors":
        loaded: dict[str, Any] = load_file(weights)
        return loaded
    state: dict[str, Any] = torch.load(weights, map_location="cpu", weights_only=True)
    return state


def _folded(network: nn.Module) -> nn.Module:
    """Fold each batch norm into its convolution, where that can be done.

    The sums are the same but for rounding; MobileNet V2 was 1.9 times as fast on two cores.
    """
    try:
        folded: nn.Module = fuse(network)
    except (TraceError, RuntimeError, TypeError):
        return network
    return folded


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
