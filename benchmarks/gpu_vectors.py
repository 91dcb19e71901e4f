"""How far a GPU's vectors and decoded pictures are from a CPU's, and how fast it decodes."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision

from benchmarks.gpu_plan import PRECISIONS, Plan, Row, encoder_on, synchronise
from benchmarks.pictures import jpegs, photograph
from benchmarks.visual import encoder_of
from pipeline.base.workers import ordered_map, workers
from pipeline.features.common.images import decode_image
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.features.visual.network import SIDE


def vectors_of(encoder: ImageEncoder, pictures: np.ndarray) -> np.ndarray:
    """[picture, feature] of pictures in this order, in whole batches and a last one filled up."""
    found = []
    for first in range(0, len(pictures), encoder.batch_size):
        part = pictures[first : first + encoder.batch_size]
        batch = encoder.room()
        batch[: len(part)], batch[len(part) :] = part, 0
        found.append(encoder.start(batch)()[: len(part)])
    return np.concatenate(found)


def agreement(plan: Plan, weights: Path, _: Path) -> Iterator[Row]:
    """How far vectors of other arithmetic, another device and another company are apart."""
    pictures = np.stack([photograph(np.random.default_rng(n)) for n in range(plan.compared)])
    size = plan.usual_size
    torch.set_num_threads(workers())
    on_cpu = vectors_of(encoder_of(plan.architecture, weights, size), pictures)
    whole = vectors_of(encoder_on(plan, weights, "float32", size), pictures)
    yield from _apart("float32 here against float32 on the CPU", whole, on_cpu)
    for precision in PRECISIONS:
        encoder = encoder_on(plan, weights, precision, size)
        vectors = vectors_of(encoder, pictures)
        if precision != "float32":
            yield from _apart(f"{precision} against float32", vectors, whole)
        order = np.random.default_rng(1).permutation(len(pictures))[: len(pictures) - size // 2]
        apart = np.abs(vectors_of(encoder, pictures[order]) - vectors[order]).max()
        again = np.abs(vectors_of(encoder, pictures) - vectors).max()
        scale = np.abs(vectors).max()
        yield Row(f"{precision}: other batch mates and places", float(apart / scale), "of largest")
        yield Row(f"{precision}: the same once more", float(again / scale), "of largest")


def _apart(what: str, found: np.ndarray, expected: np.ndarray) -> Iterator[Row]:
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = ((found * expected).sum(1) / norms).min()
    relative = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    yield Row(f"{what}: largest difference", float(worst), "of largest")
    yield Row(f"{what}: largest relative norm of a difference", float(relative.max()))
    yield Row(f"{what}: least cosine", float(cosine))


def decoding(plan: Plan, _: Path, __: Path) -> Iterator[Row]:
    """Decoding JPEG by torchvision on the device, and by threads on the CPU, both in batches."""
    images = jpegs(min(plan.images, 4096))
    batches = [images[n : n + plan.usual_size] for n in range(0, len(images), plan.usual_size)]
    on_cpu = _rate(len(images), lambda: deque(ordered_map(_decoded, batches), 0))
    yield Row(f"decode, {workers()} CPU threads", on_cpu, "images/s")
    packed = [torch.frombuffer(bytearray(image), dtype=torch.uint8) for image in images]
    mode = torchvision.io.ImageReadMode.RGB

    def decode(size: int) -> None:
        for first in range(0, len(packed), size):
            torchvision.io.decode_jpeg(packed[first : first + size], mode, device=plan.device)
        synchronise(plan)

    for size in (plan.usual_size, 4 * plan.usual_size):
        rate = _rate(len(images), partial(decode, size))
        yield Row(f"decode, torchvision on {plan.device}, batches of {size}", rate, "images/s")
    theirs = torchvision.io.decode_jpeg(packed[:2], mode, device=plan.device)[0].cpu().float()
    apart = (theirs - torch.from_numpy(decode_image(images[0])).permute(2, 0, 1)).abs()
    yield Row("decode: mean difference of the two", float(apart.mean()), "grey levels")
    yield Row("decode: largest difference of the two", float(apart.max()), "grey levels")


def _decoded(images: list[bytes]) -> np.ndarray:
    batch = np.empty((len(images), SIDE, SIDE, 3), np.uint8)
    for place, image in enumerate(images):
        decode_image(image, batch[place])
    return batch


def _rate(count: int, work: Callable[[], object]) -> float:
    """Items per second, after one run that warms up."""
    work()
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)
