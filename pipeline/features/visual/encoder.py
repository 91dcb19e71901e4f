"""Picture encoders: a network in evaluation mode, fed in batches of one fixed shape."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder
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

        What is returned waits for them, [batch_size, feature] float32. Unknown architectures and
        other weights are refused.
        """
        return self._start(batch)

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.batch_size, SIDE, SIDE, 3

    @cached_property
    def _start(self) -> Start:
        if picture_backend(self.device, self.backend) == "onnxruntime":
            return self._by_onnx_runtime()
        # Here, as ONNX Runtime need not wait for torch.
        from pipeline.features.visual.network import Cuda, PictureNetwork, eager

        network = PictureNetwork(self.architecture, self.weights, self.layer)
        if self.device == "cuda":
            return Cuda(network, self.precision).start
        set_threads(self.threads)
        return eager(network, self.device)

    def _by_onnx_runtime(self) -> Start:
        """Load the export that an earlier run kept, or export the network first."""
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.use_deterministic_compute = True
        # Idle threads would spin, on the cores that decode the next pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with scratch_folder("erc-network") as folder:
            key, main = digest_of(self._shape), folder / "network.onnx"
            entry = self.exports.get(key) if self.exports is not None else None
            if entry is None:
                self._export(main)
                files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
                if self.exports is not None:
                    self.exports.put(key, {"names": list(files), "files": list(files.values())})
            else:
                for file, content in zip(entry["names"][0], entry["files"][0], strict=True):
                    (folder / file.as_py()).write_bytes(content.as_buffer())
            session = onnxruntime.InferenceSession(str(main), options, ["CPUExecutionProvider"])

        def start(batch: np.ndarray) -> Callable[[], np.ndarray]:
            (vectors,) = session.run(None, {"pictures": batch})
            return lambda: vectors

        return start

    def _export(self, path: Path) -> None:
        # Here, so that a run that finds an export in the cache does not wait for torch.
        import torch

        from pipeline.features.visual.network import PictureNetwork

        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        network = PictureNetwork(self.architecture, self.weights, self.layer)
        example = (torch.zeros(self._shape, dtype=torch.uint8),)
        names = ["pictures"]
        try:
            program = torch.onnx.export(network, example, input_names=names, verbose=False)
        except torch.onnx.OnnxExporterError as error:
            raise PipelineError(
                f"this network cannot be exported to ONNX Runtime: {error}\n"
                "Set CORPUS.visual.backend to torch."
            ) from error
        assert program is not None
        # Weights in a file of their own: a single ONNX file cannot hold more than 2 GB.
        program.save(path, external_data=True)
