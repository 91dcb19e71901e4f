"""Picture encoders: a network in evaluation mode, fed in batches of one fixed shape."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from pipeline.base.cache import ClipCache
from pipeline.features.common.device import picture_backend

# An exported network: the names of its files and their bytes.
EXPORT = pa.schema([("names", pa.list_(pa.string())), ("files", pa.list_(pa.large_binary()))])


class Backend(Protocol):
    """Runs a network; the methods are those of `ImageEncoder`."""

    def room(self) -> np.ndarray:
        """A place for the pictures of a batch."""

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Start on a batch."""


class ImageEncoder:
    """A torchvision network run by torch or ONNX Runtime.

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
        exports: Keeps what ONNX Runtime loads, see `Onnx`.

    Raises:
        PipelineError: No such architecture, or the weights are not a state dict of it; with ONNX
            Runtime once the first batch starts.
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
        exports: ClipCache | None = None,
    ) -> None:
        self.batch_size = batch_size
        self._backend: Backend
        if picture_backend(device, backend) == "onnxruntime":
            from pipeline.features.visual.onnx import Onnx

            self._backend = Onnx(architecture, weights, layer, batch_size, threads, exports)
            return
        # Here, as ONNX Runtime need not wait for torch.
        from pipeline.features.visual.backends import Cuda, Eager
        from pipeline.features.visual.network import PictureNetwork

        network = PictureNetwork(architecture, weights, layer)
        if device == "cuda":
            self._backend = Cuda(network, batch_size, precision)
        else:
            self._backend = Eager(network, batch_size, device)

    def room(self) -> np.ndarray:
        """A place for the pictures of a batch: uint8 RGB [batch_size, 224, 224, 3].

        Places that no picture takes may hold anything; safe to call from several threads.
        """
        return self._backend.room()

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Start on a batch.

        Args:
            batch: What `room` gave, filled; not to be changed before the vectors are there.

        Returns:
            A function that waits for the vectors, [batch_size, feature] float32.
        """
        return self._backend.start(batch)
