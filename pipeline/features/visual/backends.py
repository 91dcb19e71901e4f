"""What runs a network: torch on the CPU, ONNX Runtime on the CPU, torch on a GPU.

Each has `room`, where the pictures of a batch are put, and `start`, which returns a function that
gives the batch's vectors. On a GPU that function waits for them; until it is called, the caller is
free to prepare and start the next batch.
"""

import logging
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor

from pipeline.base.errors import PipelineError
from pipeline.features.visual.network import SIDE, PictureNetwork

Vectors = Callable[[], np.ndarray]
# Runs before a graph is recorded, in which libraries choose their algorithms.
WARM_UP = 3


class Eager:
    """torch on the CPU, or on a device that is waited for."""

    def __init__(self, network: PictureNetwork, batch_size: int, device: str) -> None:
        # On a CPU too this is the faster layout: 1.3 times for mobilenet_v2 on 2 threads.
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._device, self._shape = device, (batch_size, SIDE, SIDE, 3)

    def room(self) -> np.ndarray:
        """uint8 RGB [batch_size, 224, 224, 3], to be filled."""
        return np.empty(self._shape, np.uint8)

    @torch.inference_mode()
    def start(self, batch: np.ndarray) -> Vectors:
        """Computes the vectors of a batch at once."""
        vectors = self._network(torch.from_numpy(batch).to(self._device)).cpu().numpy()
        return lambda: vectors


class Onnx:
    """ONNX Runtime on the CPU.

    The exported network lies in a temporary folder while it is loaded, and is exported when the
    first batch comes: a stage that finds everything in the cache does not wait for it.

    Args:
        network: In float32.
        batch_size: Pictures of every batch.
        threads: CPU threads of one operation.
    """

    def __init__(self, network: PictureNetwork, batch_size: int, threads: int) -> None:
        self._network, self._threads = network, threads
        self._shape = (batch_size, SIDE, SIDE, 3)
        self._session: onnxruntime.InferenceSession | None = None

    def room(self) -> np.ndarray:
        """uint8 RGB [batch_size, 224, 224, 3], to be filled."""
        return np.empty(self._shape, np.uint8)

    def start(self, batch: np.ndarray) -> Vectors:
        """Computes the vectors of a batch at once.

        Raises:
            PipelineError: The network cannot be exported.
        """
        if self._session is None:
            self._session = _session(self._network, self._shape, self._threads)
        (vectors,) = self._session.run(None, {"pictures": batch})
        return lambda: vectors


def _session(
    network: PictureNetwork, shape: tuple[int, ...], threads: int
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.use_deterministic_compute = True
    # Idle threads would spin, on the cores that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        _export(network, torch.zeros(shape, dtype=torch.uint8), path)
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def _export(network: PictureNetwork, example: Tensor, path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
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


class Cuda:
    """torch on an NVIDIA GPU, which copies, computes and fetches while the CPU does other things.

    The network is recorded once as a CUDA graph and replayed for every batch: launched one by one,
    its kernels would wait for Python, which the threads that decode pictures keep busy.

    Args:
        network: In the precision to compute in.
        batch_size: Pictures of every batch.
    """

    def __init__(self, network: PictureNetwork, batch_size: int) -> None:
        self._network = network.to("cuda").to(memory_format=torch.channels_last)
        self._shape = (batch_size, SIDE, SIDE, 3)
        self._copies = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._run: Callable[[Tensor], Tensor] | None = None

    def room(self) -> np.ndarray:
        """uint8 RGB [batch_size, 224, 224, 3] in page-locked memory, to be filled.

        PyTorch keeps freed page-locked memory and hands it out again, so this costs nothing.
        """
        return torch.empty(self._shape, dtype=torch.uint8, pin_memory=True).numpy()

    @torch.inference_mode()
    def start(self, batch: np.ndarray) -> Vectors:
        """Puts copy, network and fetching into the GPU's queues, and returns."""
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
