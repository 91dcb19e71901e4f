"""Picture encoders: a network in evaluation mode, fed in batches of one fixed shape."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.base.cache import ClipCache
from pipeline.features.common.device import picture_backend, set_threads
from pipeline.records.frames import SIDE

# An exported network: the names of its files and their bytes.
EXPORT = pa.schema([("names", pa.list_(pa.string())), ("files", pa.list_(pa.large_binary()))])
# Starts on a batch; what it returns waits for the vectors.
Start = Callable[[np.ndarray], Callable[[], np.ndarray]]


@dataclass(kw_only=True)
class ImageEncoder:
    """A torchvision network run by torch or ONNX Runtime, loaded when the first batch starts.

    On a CPU the last bits of a row depend on the shape of its batch, not on its neighbours. So
    every batch is filled up, and a picture's vector does not depend on what it is run with.
    """

    architecture: str  # a torchvision classification model
    weights: Path  # its state dict, a `.pth` or `.safetensors` file
    layer: str  # `logits`, or `pooled`: what the last linear layer reads
    device: str
    precision: str  # on cuda; elsewhere always float32
    batch_size: int
    backend: str  # on a CPU, `torch` or `onnxruntime`; elsewhere always torch
    threads: int  # torch takes them for the whole process
    exports: ClipCache | None = None  # of `EXPORT` rows, by all that an export depends on

    def room(self) -> np.ndarray:
        """A place for the pictures of a batch: uint8 RGB [batch_size, 224, 224, 3].

        Places that no picture takes may hold anything; safe to call from several threads.
        """
        if self.device != "cuda":
            return np.empty(self._shape, np.uint8)
        import torch

        # Page-locked; PyTorch keeps freed memory of this kind and hands it out again.
        return torch.empty(self._shape, dtype=torch.uint8, pin_memory=True).numpy()

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Start on a batch, filled into `room`, not to be changed before the vectors are there.

        Returns:
            A function that waits for the vectors, [batch_size, feature] float32.

        Raises:
            PipelineError: No such architecture, the weights are not a state dict of it, or it
                cannot be exported.
        """
        return self._start(batch)

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.batch_size, SIDE, SIDE, 3

    @cached_property
    def _start(self) -> Start:
        network = self.architecture, self.weights, self.layer
        if picture_backend(self.device, self.backend) == "onnxruntime":
            from pipeline.features.visual.onnx import load

            return load(*network, self._shape, self.threads, self.exports)
        # Here, as ONNX Runtime need not wait for torch.
        from pipeline.features.visual.network import Cuda, PictureNetwork, eager

        if self.device == "cuda":
            return Cuda(PictureNetwork(*network), self.precision).start
        set_threads(self.threads)
        return eager(PictureNetwork(*network), self.device)
