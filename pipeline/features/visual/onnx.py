"""ONNX Runtime on the CPU, fed in batches of one fixed shape."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.errors import PipelineError
from pipeline.features.common.images import SIDE

MAIN = "network.onnx"


class Onnx:
    """A network, exported when the first batch comes and no run before has kept its export.

    Args:
        architecture: A torchvision classification model's name.
        weights: Its state dict, a `.pth` or `.safetensors` file.
        layer: `logits`, or `pooled`: what the last linear layer reads.
        batch_size: Pictures of every batch.
        threads: CPU threads of one operation.
        exports: Of `EXPORT` rows, under a fingerprint of all that an export depends on; None
            keeps none.
    """

    def __init__(
        self,
        architecture: str,
        weights: Path,
        layer: str,
        batch_size: int,
        threads: int,
        exports: ClipCache | None,
    ) -> None:
        self._network = architecture, weights, layer
        self._threads, self._exports = threads, exports
        self._shape = (batch_size, SIDE, SIDE, 3)
        self._session: onnxruntime.InferenceSession | None = None

    def room(self) -> np.ndarray:
        """uint8 RGB [batch_size, 224, 224, 3], to be filled."""
        return np.empty(self._shape, np.uint8)

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Compute the vectors of a batch at once.

        Raises:
            PipelineError: The weights are not those of the network, or it cannot be exported.
        """
        if self._session is None:
            self._session = self._loaded()
        (vectors,) = self._session.run(None, {"pictures": batch})
        return lambda: vectors

    def _loaded(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.use_deterministic_compute = True
        # Idle threads would spin, on the cores that decode the next pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with tempfile.TemporaryDirectory() as name:
            self._put_files(Path(name))
            path = f"{name}/{MAIN}"
            return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def _put_files(self, folder: Path) -> None:
        """Write the exported network to a folder, from the cache or anew."""
        key = digest_of(self._shape)
        entry = None if self._exports is None else self._exports.get(key)
        if entry is None:
            _export(*self._network, self._shape, folder / MAIN)
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            if self._exports is not None:
                self._exports.put(key, {"names": list(files), "files": list(files.values())})
            return
        for file, content in zip(entry["names"][0], entry["files"][0], strict=True):
            (folder / file.as_py()).write_bytes(content.as_buffer())


def _export(
    architecture: str, weights: Path, layer: str, shape: tuple[int, ...], path: Path
) -> None:
    # Here, so that a run that finds an export in the cache does not wait for torch.
    import torch

    from pipeline.features.visual.network import PictureNetwork

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    network = PictureNetwork(architecture, weights, layer)
    example = torch.zeros(shape, dtype=torch.uint8)
    try:
        program = torch.onnx.export(
            network, (example,), input_names=["pictures"], dynamo=True, verbose=False
        )
    except torch.onnx.OnnxExporterError as error:
        raise PipelineError(
            f"this network cannot be exported to ONNX Runtime: {error}\n"
            "Set CORPUS.visual.backend to torch."
        ) from error
    assert program is not None
    # Weights in a file of their own: a single ONNX file cannot hold more than 2 GB.
    program.save(path, external_data=True)
