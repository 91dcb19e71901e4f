"""ONNX Runtime on the CPU."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from pipeline.base.cache import ClipCache, digest_of
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder

MAIN = "network.onnx"


def load(
    architecture: str,
    weights: Path,
    layer: str,
    shape: tuple[int, ...],
    threads: int,
    exports: ClipCache | None,
) -> Callable[[np.ndarray], Callable[[], np.ndarray]]:
    """Load a network that computes the vectors of batches of one shape; see `ImageEncoder`.

    It is exported if no run before has kept its export.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.use_deterministic_compute = True
    # Idle threads would spin, on the cores that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with scratch_folder("erc-network") as folder:
        key = digest_of(shape)
        entry = exports.get(key) if exports is not None else None
        if entry is None:
            _export(architecture, weights, layer, shape, folder / MAIN)
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            if exports is not None:
                exports.put(key, {"names": list(files), "files": list(files.values())})
        else:
            for file, content in zip(entry["names"][0], entry["files"][0], strict=True):
                (folder / file.as_py()).write_bytes(content.as_buffer())
        path = str(folder / MAIN)
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def start(batch: np.ndarray) -> Callable[[], np.ndarray]:
        (vectors,) = session.run(None, {"pictures": batch})
        return lambda: vectors

    return start


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
