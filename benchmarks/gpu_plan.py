"""How much the GPU benchmark measures, and what it reports."""

from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.visual import encoder_of
from pipeline.base.workers import workers
from pipeline.features.visual.encoder import ImageEncoder

PRECISIONS = ("float32", "bfloat16", "float16")


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
    sizes=(64, 256),
    usual_size=64,
    seconds=0.3,
    repeats=3,
    images=16_000,
    compared=256,
    clips=960,
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


def encoder_on(plan: Plan, weights: Path, precision: str, batch_size: int) -> ImageEncoder:
    """The pipeline's encoder."""
    changes = {"device": plan.device, "precision": precision, "threads": workers()}
    return encoder_of(plan.architecture, weights, batch_size, **changes)
