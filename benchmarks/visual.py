"""Pictures per second of the visual encoder's choices, side by side: `python -m benchmarks.visual`.

Each row is timed in turns with the others in one process, so that a busy machine slows all alike;
read the ratios. The last rows are the whole step, from a frame store to a feature store with an
empty cache, as times the bare passes of the same batches by the same backend.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torchvision.models import get_model

from benchmarks.pictures import frame_rows, jpegs, photograph
from benchmarks.random_network import random_weights
from pipeline.base.cache import ClipCache
from pipeline.features.common.device import set_threads
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.features.visual.stream import visual_of
from pipeline.records.features import VECTORS, write_features
from pipeline.records.frames import read_frames, write_frames

BATCHES = {"resnet101": 16, "mobilenet_v2": 32}
BACKENDS = {"torch": "and batch norm folded: backend torch", "onnxruntime": "backend onnxruntime"}
PER_UTTERANCE = 20


def encoder_of(
    architecture: str, weights: Path, batch_size: int, **changes: object
) -> ImageEncoder:
    """An encoder on the CPU unless told otherwise."""
    settings = {"device": "cpu", "precision": "float32", "backend": "torch", "threads": 2}
    return ImageEncoder(
        architecture=architecture,
        weights=weights,
        layer="logits",
        batch_size=batch_size,
        **{**settings, **changes},  # type: ignore[arg-type]
    )


def passes(
    architecture: str, weights: Path, encoders: dict[str, ImageEncoder], batch: np.ndarray
) -> dict[str, Callable[[], object]]:
    """One pass over a batch, in every way."""
    plain = get_model(architecture, weights=None).eval()
    plain.load_state_dict(torch.load(weights, weights_only=True))
    last = get_model(architecture, weights=None).eval().to(memory_format=torch.channels_last)
    pixels = torch.randn(len(batch), 3, 224, 224)
    channels_last = pixels.contiguous(memory_format=torch.channels_last)
    return {
        "eager, one picture at a time": lambda: [plain(picture[None]) for picture in pixels],
        "eager, batches": lambda: plain(pixels),
        "batches, channels last": lambda: last(channels_last),
        **{BACKENDS[name]: lambda e=e: e.start(batch)() for name, e in encoders.items()},
    }


def medians(choices: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each choice, in turns, after one round that is not timed."""
    seconds: dict[str, list[float]] = {name: [] for name in choices}
    for number in range(rounds + 1):
        for name, run in choices.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def whole_step(encoder: ImageEncoder, store: Path, folder: Path) -> float:
    """Seconds from a frame store to a feature store, with an empty cache."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        cache = ClipCache("visual", 1, VECTORS, Path(scratch))
        start = time.perf_counter()
        found = visual_of(partial(read_frames, store), encoder, cache)
        write_features(Path(scratch) / "features.parquet", found, {})
        return time.perf_counter() - start


def bare_passes(encoder: ImageEncoder, count: int) -> float:
    """Seconds of as many batches as so many pictures need, decoded already."""
    batch = encoder.room()
    batch[:] = photograph(np.random.default_rng(0))
    start = time.perf_counter()
    for _ in range(-(-count // encoder.batch_size)):
        encoder.start(batch)()
    return time.perf_counter() - start


def overhead(encoder: ImageEncoder, count: int, rounds: int, folder: Path) -> float:
    """The whole step's seconds by those of the bare passes: the median of pairs."""
    store = folder / "frames.parquet"
    write_frames(store, frame_rows(jpegs(count), PER_UTTERANCE), {})
    ratios = []
    for _ in range(rounds):
        bare = bare_passes(encoder, count)
        step = whole_step(encoder, store, folder)
        ratios.append(2 * step / (bare + bare_passes(encoder, count)))
    return statistics.median(ratios)


@torch.inference_mode()
def main(
    out: Annotated[Path | None, typer.Argument(help="Folder for visual.json.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the network.")] = 2,
    rounds: Annotated[int, typer.Option(help="How often each choice is timed.")] = 5,
    batches: Annotated[int, typer.Option(help="Batches of the whole step.")] = 10,
    architecture: Annotated[list[str] | None, typer.Option(help="Which; None: two.")] = None,
) -> None:
    """Prints the table."""
    set_threads(threads)
    table = Table("visual encoder, CPU", "pictures/s", "times as fast", "whole step / bare passes")
    results = []
    for name in architecture or BATCHES:
        results += _rows(name, threads, rounds, batches)
    for row in results:
        share = "" if row["step"] is None else f"{row['step']:.2f}"
        what = f"{row['architecture']}: {row['choice']}"
        table.add_row(what, f"{row['rate']:.1f}", f"{row['gain']:.2f}", share)
    Console().print(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "visual.json").write_text(json.dumps(results, indent=2))


def _rows(architecture: str, threads: int, rounds: int, batches: int) -> list[dict[str, object]]:
    size = BATCHES.get(architecture, 16)
    with tempfile.TemporaryDirectory() as name:
        weights = random_weights(architecture, Path(name))
        encoders = {
            b: encoder_of(architecture, weights, size, backend=b, threads=threads) for b in BACKENDS
        }
        batch = np.stack([photograph(np.random.default_rng(n)) for n in range(size)])
        seconds = medians(passes(architecture, weights, encoders, batch), rounds)
        steps = {
            BACKENDS[b]: overhead(encoder, batches * size, rounds, Path(name))
            for b, encoder in encoders.items()
        }
    first = next(iter(seconds.values()))
    return [
        {
            "architecture": architecture,
            "choice": choice,
            "rate": size / median,
            "gain": first / median,
            "step": steps.get(choice),
        }
        for choice, median in seconds.items()
    ]


if __name__ == "__main__":
    typer.run(main)
