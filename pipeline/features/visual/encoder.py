"""Any torchvision classification network as an encoder of pictures."""

from pathlib import Path

import numpy as np
import torch

from pipeline.features.common.device import picture_backend
from pipeline.features.visual.backends import Cuda, Eager, Onnx, Vectors
from pipeline.features.visual.network import PictureNetwork


class ImageEncoder:
    """A network in evaluation mode, fed in batches of one fixed shape.

    On a CPU the last bits of a row depend on the shape of its batch, not on its neighbours. So
    every batch is filled up, and a picture's vector does not depend on what it is run with.

    Args:
        architecture: A torchvision classification model's name.
        weights: Its state dict, a `.pth` or `.safetensors` file.
        layer: `logits`, or `pooled`: what the last linear layer reads.
        device: `cpu`, `cuda` or `mps`.
        precision: `float32`; on cuda also `bfloat16` or `float16`. Elsewhere always float32.
        batch_size: Pictures per forward pass.
        backend: What computes on a CPU, `torch` or `onnxruntime`. Elsewhere always torch.
        threads: CPU threads of ONNX Runtime; torch has its own setting for the whole process.

    Attributes:
        dimension: Features of a vector.

    Raises:
        PipelineError: No such architecture, or the weights are not a state dict of it.
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
        backend: str,
        threads: int,
    ) -> None:
        self.batch_size = batch_size
        network = PictureNetwork(architecture, weights, layer)
        self.dimension = network.dimension
        if device == "cuda":
            lower = network.in_precision(getattr(torch, precision))
            self._backend: Cuda | Onnx | Eager = Cuda(lower, batch_size)
        elif picture_backend(device, backend) == "onnxruntime":
            self._backend = Onnx(network, batch_size, threads)
        else:
            self._backend = Eager(network, batch_size, device)

    def room(self) -> np.ndarray:
        """Where to put the pictures of a batch: uint8 RGB [batch_size, 224, 224, 3].

        Places that no picture takes may hold anything; safe to call from several threads.
        """
        return self._backend.room()

    def start(self, batch: np.ndarray) -> Vectors:
        """Starts on a batch.

        Args:
            batch: What `room` gave, filled; not to be changed before the vectors are there.

        Returns:
            A function that waits for the vectors, [batch_size, feature] float32.
        """
        return self._backend.start(batch)
