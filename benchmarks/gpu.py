"""What the visual pipeline makes of a GPU: `python -m benchmarks.gpu FOLDER`, a few minutes.

Needs no network and no corpus: random weights, drawn pictures and clips. Prints one table and
writes `gpu.json` to the folder. `--quick` runs every line on tiny inputs, on a CPU too.
"""

import json
import statistics
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torchvision
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.pictures import frame_rows, jpegs, photograph
from benchmarks.random_network import random_weights
from benchmarks.visual import encoder_of, whole_step
from pipeline.cache import ClipCache
from pipeline.extraction.batches import add_cached
from pipeline.extraction.seen import SeenPictures
from pipeline.extraction.vectors import VECTORS
from pipeline.extractors.images import decode_image
from pipeline.extractors.networks import SIDE, PictureNetwork
from pipeline.extractors.visual import ImageEncoder
from pipeline.frames import read_frames, write_frames
from pipeline.jobs import ordered_map, workers

PRECISIONS = ("float32", "bfloat16", "float16")
PER_UTTERANCE = 20


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        what: In words.
        value: The figure.
        unit: Its unit.
        goal: What it is to be, in words.
    """

    what: str
    value: float
    unit: str = ""
    goal: str = ""


@dataclass(frozen=True)
class Plan:
    """How much is measured, and where."""

    device: str
    architecture: str
    sizes: tuple[int, ...]
    usual_size: int
    seconds: float
    repeats: int
    images: int
    compared: int
    clips: int
    frame: tuple[int, int]
    clip_seconds: float
    count: int


FULL = Plan(
    device="cuda",
    architecture="resnet101",
    sizes=(64, 128, 256),
    usual_size=64,
    seconds=0.4,
    repeats=5,
    images=24_000,
    compared=256,
    clips=480,
    frame=(1280, 720),
    clip_seconds=3.0,
    count=20,
)
QUICK = Plan(
    device="cpu",
    architecture="resnet18",
    sizes=(2, 4),
    usual_size=2,
    seconds=0.05,
    repeats=2,
    images=60,
    compared=6,
    clips=4,
    frame=(320, 180),
    clip_seconds=0.5,
    count=4,
)


def synchronise(plan: Plan) -> None:
    """Waits for the GPU."""
    if plan.device == "cuda":
        torch.cuda.synchronize()


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


def encoder_on(plan: Plan, weights: Path, precision: str, batch_size: int) -> ImageEncoder:
    """The pipeline's encoder."""
    changes = {"device": plan.device, "precision": precision, "threads": workers()}
    return encoder_of(plan.architecture, weights, batch_size, **changes)


def filled(encoder: ImageEncoder, seed: int) -> np.ndarray:
    """A batch of one picture after another."""
    batch = encoder.room()
    for place in range(len(batch)):
        batch[place] = photograph(np.random.default_rng([seed, place]))
    return batch


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


def stages(plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """`frames` and `visual` against bare decoding and detecting on all cores."""
    from benchmarks.gpu_stages import YUNET, Load, stage_rows  # needs more packages than the rest

    if not YUNET.is_file():
        raise FileNotFoundError(f"{YUNET}: no face detector")
    precision = "float32" if plan.device == "cpu" else "bfloat16"
    load = Load(
        clips=plan.clips,
        size=plan.frame,
        seconds=plan.clip_seconds,
        count=plan.count,
        batch_size=plan.usual_size,
        device=plan.device,
        precision=precision,
    )
    found = stage_rows(folder / "stages", weights, plan.architecture, load)
    what = f"{found['clips']:.0f} clips of {plan.frame[0]}x{plan.frame[1]}"
    for name in ("frames", "visual"):
        yield Row(f"{what}: stage {name}", found[name], "s")
    yield Row(f"{what}: decoding and detecting, {workers()} processes", found["floor"], "s")
    yield Row("frames + visual / decoding and detecting", found["ratio"], "", "<= 1.5")


PARTS: dict[str, Callable[[Plan, Path, Path], Iterator[Row]]] = {
    "agreement": agreement,
    "decoding": decoding,
    "forward and stream": forward_and_stream,
    "stages": stages,
}


def measured(name: str, plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """Rows of a part, up to where it fails: the others are worth having without it."""
    try:
        yield from PARTS[name](plan, weights, folder)
    except Exception as error:
        traceback.print_exc()
        yield Row(f"{name}: skipped, {type(error).__name__}: {error}", float("nan"))


def main(
    folder: Annotated[Path, typer.Argument(help="Where gpu.json is written.")],
    quick: Annotated[bool, typer.Option(help="Tiny inputs; on the CPU if need be.")] = False,
    part: Annotated[list[str] | None, typer.Option(help="Parts; none: all.")] = None,
) -> None:
    """Measures, prints the table, writes gpu.json after each part."""
    plan = QUICK if quick else FULL
    if quick and torch.cuda.is_available():
        plan = replace(QUICK, device="cuda")
    device = torch.cuda.get_device_name() if plan.device == "cuda" else "CPU"
    title = f"{device}, {workers()} cores, torch {torch.__version__}, {plan.architecture}"
    rows: list[Row] = []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        weights = random_weights(plan.architecture, Path(name))
        for chosen in part or PARTS:
            start = time.perf_counter()
            for row in measured(chosen, plan, weights, Path(name)):
                rows.append(row)
                print(f"{row.what}: {row.value:.6g} {row.unit}", flush=True)
            rows.append(Row(f"{chosen}: took", time.perf_counter() - start, "s"))
            facts: dict[str, Any] = {"title": title, "rows": [vars(row) for row in rows]}
            (folder / "gpu.json").write_text(json.dumps(facts, indent=2))
    table = Table("measured", "", "unit", "goal", title=title)
    for row in rows:
        table.add_row(row.what, f"{row.value:.6g}", row.unit, row.goal)
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
