"""Bare forward passes on a GPU, and the whole visual step as a share of them."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu_plan import PRECISIONS, Plan, Row, encoder_on, synchronise
from benchmarks.pictures import frame_rows, jpegs, photograph
from benchmarks.visual import PER_UTTERANCE, whole_step
from pipeline.base.cache import ClipCache
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.features.visual.network import PictureNetwork
from pipeline.features.visual.plan import SeenPictures, add_cached
from pipeline.records.features import VECTORS
from pipeline.records.frames import read_frames, write_frames


@torch.inference_mode()
def forward_rate(plan: Plan, network: PictureNetwork, size: int, search: bool) -> float:
    """Images per second of bare forward passes on one batch: the median of repeats.

    Args:
        plan: How long.
        network: On the device, in the precision that counts.
        size: Of the batch.
        search: Whether cuDNN tries all algorithms, as is fastest; else the pipeline's setting.
    """
    shape = (size, 3, 224, 224)
    batch = torch.randn(shape, device=plan.device, dtype=network.precision)
    batch = batch.contiguous(memory_format=torch.channels_last)
    flags = torch.backends.cudnn.flags(
        enabled=True, benchmark=search, deterministic=not search, allow_tf32=False
    )
    with flags:
        for _ in range(3):
            network.network(batch)
        synchronise(plan)
        start = time.perf_counter()
        network.network(batch)
        synchronise(plan)
        passes = max(1, round(plan.seconds / (time.perf_counter() - start)))
        rates = []
        for _ in range(plan.repeats):
            start = time.perf_counter()
            for _ in range(passes):
                network.network(batch)
            synchronise(plan)
            rates.append(passes * size / (time.perf_counter() - start))
    return statistics.median(rates)


def network_of(plan: Plan, weights: Path, precision: str) -> PictureNetwork:
    """The network as the pipeline makes it."""
    network = PictureNetwork(plan.architecture, weights, "logits")
    network.in_precision(getattr(torch, precision))
    return network.to(plan.device).to(memory_format=torch.channels_last)


def forwards(plan: Plan, weights: Path) -> Iterator[tuple[str, int, bool, float]]:
    """Precision, batch size, whether cuDNN searched, images per second."""
    for precision in PRECISIONS:
        network = network_of(plan, weights, precision)
        for size in plan.sizes:
            for search in (False, True):
                yield precision, size, search, forward_rate(plan, network, size, search)


def forward_and_stream(plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """Bare passes, and the whole step from a frame store to a feature store as a share of them."""
    found = list(forwards(plan, weights))
    for precision, size, search, rate in found:
        how = "cuDNN searching" if search else "cuDNN deterministic"
        yield Row(f"bare forward, {precision}, batch {size}, {how}", rate, "images/s")
    store = folder / "frames.parquet"
    write_frames(store, frame_rows(jpegs(plan.images), PER_UTTERANCE), {})
    yield Row("first pass over the frame store", first_pass(store, folder), "s")
    for precision in PRECISIONS:
        mine = [entry for entry in found if entry[0] == precision]
        best = max(rate for *_, rate in mine)
        _, size, _, _ = max((e for e in mine if not e[2]), key=lambda entry: entry[3])
        for batch_size in dict.fromkeys((size, plan.usual_size)):
            encoder = encoder_on(plan, weights, precision, batch_size)
            encoder.start(filled(encoder, 1))()
            seconds = [whole_step(encoder, store, folder) for _ in range(2)]
            rate = plan.images / statistics.mean(seconds)
            what = f"frame store to feature store, {precision}, batch {batch_size}"
            yield Row(what, rate, "images/s")
            yield Row(f"{what}: share of the best bare forward", rate / best, "", ">= 0.9")


def first_pass(store: Path, folder: Path) -> float:
    """Seconds to look for what the cache has, which is nothing."""
    start = time.perf_counter()
    add_cached(read_frames(store), SeenPictures(), ClipCache("visual", 0, VECTORS, folder / "none"))
    return time.perf_counter() - start


def filled(encoder: ImageEncoder, seed: int) -> np.ndarray:
    """A batch of one picture after another."""
    batch = encoder.room()
    for place in range(len(batch)):
        batch[place] = photograph(np.random.default_rng([seed, place]))
    return batch
