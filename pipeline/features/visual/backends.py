"""torch on a CPU and on a GPU.

What starts on a batch returns a function that gives the batch's vectors. On a GPU that function
waits for them; until it is called, the caller is free to prepare and start the next batch.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pipeline.features.visual.network import PictureNetwork

Vectors = Callable[[], np.ndarray]
# Runs before a graph is recorded, in which libraries choose their algorithms.
WARM_UP = 3


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

    Args:
        network: In float32.
        precision: To compute in: `float32`, `bfloat16` or `float16`.
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
