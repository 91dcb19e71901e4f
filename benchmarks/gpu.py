"""What the visual pipeline makes of a GPU: `python -m benchmarks.gpu FOLDER`, a few minutes.

Needs no network and no corpus: random weights, generated pictures and clips, and the face detector
of `models/weights`. Prints one table and writes `gpu.json` to the folder. `--quick` runs all parts
on tiny inputs, on a CPU too.
"""

import json
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from rich.table import Table

from benchmarks import naive_extraction as naive
from benchmarks.material import CLIP_SECONDS, CROPS, make_clips, make_corpus, make_texts
from benchmarks.measure import CONSOLE, cost
from benchmarks.random_network import random_weights
from benchmarks.steps import SIDE, image_encoder, in_processes, one_detector, picture_vectors
from benchmarks.workspace import Workspace
from pipeline.base.cache import ClipCache
from pipeline.base.workers import workers
from pipeline.features.common.images import encode_image
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.features.visual.network import PictureNetwork
from pipeline.features.visual.stream import visual_of
from pipeline.records.features import VECTORS, write_features
from pipeline.records.frames import Pictures, read_frames, write_frames

PRECISIONS = ("float32", "bfloat16", "float16")
PER_UTTERANCE = 20  # pictures in the generated frame store
REPEATS = 3
# Noise of several grains, drawn on squares of so many pixels, with so many grey levels.
GRAINS = ((4, 40.0), (14, 20.0), (56, 10.0), (112, 4.0))
KINDS = 64  # pictures that are drawn; others differ in bytes after their end, which nobody decodes


@dataclass(frozen=True)
class Plan:
    """How much is measured, and where."""

    device: str = "cuda"
    architecture: str = "resnet101"
    sizes: tuple[int, ...] = (64, 256)  # of batches
    usual_size: int = 64
    seconds: float = 0.3  # of one measurement of a forward pass
    images: int = 16_000
    compared: int = 256  # pictures whose vectors are compared
    clips: int = 960
    clip_seconds: float = CLIP_SECONDS
    count: int = 20  # frames of a clip

    def encoder(self, weights: Path, precision: str, batch_size: int) -> ImageEncoder:
        """The pipeline's encoder on the device."""
        options = {"device": self.device, "precision": precision, "backend": "torch"}
        return image_encoder(self.architecture, weights, batch_size, **options, threads=workers())


QUICK = Plan("cpu", "resnet18", (2, 4), 2, 0.05, 60, 6, 4, 0.5, 4)


@dataclass(frozen=True)
class Row:
    """One measurement; the goal in words."""

    what: str
    value: float
    unit: str = ""
    goal: str = ""


def main(
    folder: Annotated[Path, typer.Argument(help="Where gpu.json is written.")],
    quick: Annotated[bool, typer.Option(help="Tiny inputs; on the CPU if need be.")] = False,
    part: Annotated[list[str] | None, typer.Option(help="agreement, forward, stages.")] = None,
) -> None:
    """Measure, write gpu.json after each part, and print the table."""
    plan = QUICK if quick else Plan()
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
    CONSOLE.print(table)


def measured(name: str, plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """Rows of a part, up to where it fails: the others are worth having without it."""
    try:
        yield from PARTS[name](plan, weights, folder)
    except Exception as error:
        traceback.print_exc()
        yield Row(f"{name}: skipped, {type(error).__name__}: {error}", float("nan"))


def agreement(plan: Plan, weights: Path, _: Path) -> Iterator[Row]:
    """How far vectors of other arithmetic, another device and other batch mates are apart."""
    pictures = np.stack([photograph(np.random.default_rng(n)) for n in range(plan.compared)])
    size = plan.usual_size
    torch.set_num_threads(workers())

    def vectors(encoder: ImageEncoder, some: np.ndarray) -> np.ndarray:
        return np.stack(list(picture_vectors(encoder, some)))

    on_cpu = vectors(replace(plan, device="cpu").encoder(weights, "float32", size), pictures)
    whole = vectors(plan.encoder(weights, "float32", size), pictures)
    yield from differences("float32 here against float32 on the CPU", whole, on_cpu)
    order = np.random.default_rng(1).permutation(len(pictures))[: len(pictures) - size // 2]
    for precision in PRECISIONS:
        encoder = plan.encoder(weights, precision, size)
        first = vectors(encoder, pictures)
        if precision != "float32":
            yield from differences(f"{precision} against float32", first, whole)
        scale = float(np.abs(first).max())
        shuffled = float(np.abs(vectors(encoder, pictures[order]) - first[order]).max())
        again = float(np.abs(vectors(encoder, pictures) - first).max())
        yield Row(f"{precision}: other batch mates and places", shuffled / scale, "of largest")
        yield Row(f"{precision}: the same once more", again / scale, "of largest")


def differences(what: str, vectors: np.ndarray, expected: np.ndarray) -> Iterator[Row]:
    """Largest difference relative to the largest value, and least cosine, of [picture, feature]."""
    worst = np.abs(vectors - expected).max() / np.abs(expected).max()
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    yield Row(f"{what}: largest difference", float(worst), "of largest")
    yield Row(f"{what}: least cosine", float(((vectors * expected).sum(1) / norms).min()))


def forward(plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """Bare passes, and the whole step from a frame store to a feature store as a share of them."""
    store = folder / "frames.parquet"
    write_frames(store, frame_rows(plan.images), {})
    for precision in PRECISIONS:
        network = PictureNetwork(plan.architecture, weights, "logits")
        network.in_precision(getattr(torch, precision))
        network.to(plan.device).to(memory_format=torch.channels_last)
        rates: dict[bool, dict[int, float]] = {False: {}, True: {}}
        for size in plan.sizes:
            for search in rates:
                rates[search][size] = forward_rate(plan, network, size, search)
                how = "cuDNN searching" if search else "cuDNN deterministic"
                what = f"bare forward, {precision}, batch {size}, {how}"
                yield Row(what, rates[search][size], "images/s")
        best = max(rate for sizes in rates.values() for rate in sizes.values())
        fastest = max(rates[False], key=lambda size: rates[False][size])
        for size in dict.fromkeys((fastest, plan.usual_size)):
            encoder = plan.encoder(weights, precision, size)
            list(picture_vectors(encoder, [photograph(np.random.default_rng(0))]))
            rate = plan.images / statistics.mean(whole_step(encoder, store) for _ in range(2))
            what = f"frame store to feature store, {precision}, batch {size}"
            yield Row(what, rate, "images/s")
            yield Row(f"{what}: share of the best bare forward", rate / best, "", ">= 0.9")


@torch.inference_mode()
def forward_rate(plan: Plan, network: PictureNetwork, size: int, search: bool) -> float:
    """Images per second of bare forward passes on one batch: the median of repeats.

    Args:
        plan: How long, and where.
        network: On the device, in the precision that counts.
        size: Of the batch.
        search: Whether cuDNN tries all algorithms, as is fastest; else the pipeline's setting.
    """
    batch = torch.randn((size, 3, SIDE, SIDE), device=plan.device, dtype=network.precision)
    batch = batch.contiguous(memory_format=torch.channels_last)

    def seconds(passes: int) -> float:
        start = time.perf_counter()
        for _ in range(passes):
            network.network(batch)
        if plan.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    flags = torch.backends.cudnn.flags(
        enabled=True, benchmark=search, deterministic=not search, allow_tf32=False
    )
    with flags:
        seconds(3)
        passes = max(1, round(plan.seconds / seconds(1)))
        return statistics.median(passes * size / seconds(passes) for _ in range(REPEATS))


def whole_step(encoder: ImageEncoder, store: Path) -> float:
    """Seconds from a frame store to a feature store, with an empty cache."""
    with tempfile.TemporaryDirectory(dir=store.parent) as scratch:
        cache = ClipCache("visual", 1, VECTORS, Path(scratch))

        def run() -> None:
            vectors = visual_of(partial(read_frames, store), encoder, cache)
            write_features(Path(scratch) / "features.parquet", vectors, {})

        return cost(run)[0].wall


def photograph(rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [224, 224, 3]; 17 kB as a JPEG of quality 95, as crops of real footage are."""
    picture = np.full((SIDE, SIDE, 3), 128.0, np.float32)
    for side, deviation in GRAINS:
        noise = rng.normal(0, deviation, (side, side, 3)).astype(np.float32)
        picture += cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def frame_rows(count: int) -> Iterator[tuple[str, Pictures]]:
    """Rows of a frame store with so many pictures, no two of the same bytes."""
    rng = np.random.default_rng(0)
    drawn = [encode_image(photograph(rng), "jpeg", 95) for _ in range(min(count, KINDS))]
    for first in range(0, count, PER_UTTERANCE):
        numbers = range(first, min(count, first + PER_UTTERANCE))
        images = [drawn[n % KINDS] + n.to_bytes(4, "little") for n in numbers]
        boxes = [[0.0, 0.0, float(SIDE), float(SIDE)]] * len(images)
        yield f"u{first}", Pictures([float(n) for n in numbers], boxes, "one", images)


def stages(plan: Plan, weights: Path, folder: Path) -> Iterator[Row]:
    """Stages `frames` and `visual`, each a process, against bare decoding and detecting.

    The same stages on one clip show how much of that is starting: loading libraries and weights,
    starting worker processes, recording the network.
    """
    encoded = make_clips(folder, -(-plan.clips // CROPS), plan.clip_seconds)
    clips = make_corpus(encoded, folder / "clips", plan.clips)
    own = folder / "weights"
    own.mkdir()
    (own / weights.name).hardlink_to(weights)
    changes = {
        "frames": {"count": plan.count},
        "visual": {"encoder": f"{plan.architecture}:{own}", "batch_size": plan.usual_size},
    }
    precision = "float32" if plan.device == "cpu" else "bfloat16"
    taken, floor = {}, 0.0
    one, whole = "one clip", f"{plan.clips} clips"
    for name, some in ((one, clips[:1]), (whole, clips)):
        compute = {"device": plan.device, "precision": precision}
        workspace = Workspace(folder / f"of {name}", changes, compute)
        workspace.install_encoders(("faces", "visual"))
        workspace.add(some, make_texts(len(some)))
        if name == one:
            workspace.seconds(("frames", "visual"))  # brings libraries into the page cache
            workspace.remove("cache")
        taken[name] = workspace.seconds(("frames", "visual"))
        detector = workspace.encoder("faces")
        floor = in_processes(partial(_decode_and_detect, detector, plan.count), some)
    for name, seconds in taken.items():
        for stage, value in seconds.items():
            yield Row(f"stage {stage}, {name}", value, "s")
    yield Row(f"decoding and detecting, {workers()} processes", floor, "s")
    both, start = (sum(taken[name].values()) for name in (whole, one))
    yield Row("frames + visual / decoding and detecting", both / floor, "", "<= 1.5")
    yield Row("the same, less starting both", (both - start) / floor)


def _decode_and_detect(weights: Path, count: int, clip: Path) -> None:
    detector = one_detector(weights)
    for image in naive.pyav_seeks_once(clip, count):
        detector.detect(image)


PARTS: dict[str, Callable[[Plan, Path, Path], Iterator[Row]]] = {
    "agreement": agreement,
    "forward": forward,
    "stages": stages,
}

if __name__ == "__main__":
    typer.run(main)
