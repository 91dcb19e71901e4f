"""Our bare steps of extraction, as the benchmarks call them: no cache, no store, no stage."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import cycle, islice
from math import inf
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.measure import cost
from pipeline.base.files import chunked
from pipeline.base.workers import workers
from pipeline.features.audio.smile import Smile
from pipeline.features.frames.faces import FaceDetector
from pipeline.features.text.encoder import TextEncoder
from pipeline.features.text.turns import Turn
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.media.audio import load_mono
from pipeline.media.packets import Window
from pipeline.media.video import Wanted, sample_segments

COUNT = 20  # frames of a clip or turn
RATE = 16_000  # hertz
SIDE = 224  # of a picture, pixels
LONGEST = 600.0  # seconds
FEATURE_SET = "ComParE_2016"
ARCHITECTURE, BATCH = "mobilenet_v2", 64
MAX_TOKENS, TOKENS_PER_BATCH = 128, 256
WARMED = 64  # pictures and texts before those that are timed
WHOLE = Window(0.0, inf, LONGEST)

Images = list[np.ndarray]


def face_detector(weights: Path, **options: Any) -> FaceDetector:
    """YuNet as params.yaml has it."""
    return FaceDetector(weights, score_threshold=0.6, **options)


def functionals() -> Callable[[np.ndarray, int], np.ndarray]:
    """ComParE 2016 of a sound and its rate."""
    return Smile(FEATURE_SET, "functionals").extract


def text_vectors(folder: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """The mean over a network's tokens, on the CPU."""
    encoder = TextEncoder(
        folder=folder,
        pooling="mean",
        max_tokens=MAX_TOKENS,
        device="cpu",
        precision="float32",
        tokens_per_batch=TOKENS_PER_BATCH,
    )

    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = np.empty((len(texts), encoder.dimension), np.float32)
        for place, vector in encoder.encode([Turn(text) for text in texts]):
            vectors[place] = vector
        return vectors

    return encode


def image_encoder(
    architecture: str, weights: Path, batch_size: int, **changes: Any
) -> ImageEncoder:
    """The class scores of a network; on the CPU by ONNX Runtime unless changed."""
    settings = {"layer": "logits", "device": "cpu", "precision": "float32"}
    computed = {"backend": "onnxruntime", "threads": torch.get_num_threads()}
    chosen: dict[str, Any] = settings | computed | changes
    return ImageEncoder(architecture=architecture, weights=weights, batch_size=batch_size, **chosen)


def picture_vectors(encoder: ImageEncoder, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """A vector for each picture, in whole batches and a last one filled up."""
    for some in chunked(images, encoder.batch_size):
        batch = encoder.room()
        for place, image in enumerate(some):
            batch[place] = image
        batch[len(some) :] = 0
        yield from encoder.start(batch)()[: len(some)]


def frames(path: Path, count: int = COUNT) -> Images:
    """Evenly spaced frames of a clip."""
    return turns_frames(path, count, [WHOLE])[0]


def turns_frames(path: Path, count: int, turns: Sequence[Window]) -> list[Images]:
    """Evenly spaced frames of each turn of a dialogue."""
    images: dict[int, Images] = {}
    for place, sampled in sample_segments(path, count, [Wanted(turn) for turn in turns]):
        if isinstance(sampled, Exception):
            raise sampled
        images[place] = [frame.image for frame in sampled]
    return [images[place] for place in range(len(turns))]


def sound(path: Path) -> np.ndarray:
    """A clip's sound, (samples,) at 16 kHz."""
    return load_mono(path, rate=RATE, max_seconds=LONGEST)


def bare_seconds(
    encoders: Mapping[str, Path], clips: Sequence[Path], texts: Sequence[str]
) -> dict[str, float]:
    """Seconds that each stage's bare functions take on all cores, by stage, once they are warm.

    A process per core decodes, detects and computes functionals; the networks have a thread per
    core.
    """
    torch.set_num_threads(workers())
    rng = np.random.default_rng(0)
    crops = list(rng.integers(0, 256, (WARMED, SIDE, SIDE, 3), np.uint8))  # contents cost nothing
    encoder = image_encoder(ARCHITECTURE, encoders["visual"], BATCH)
    sum(1 for _ in picture_vectors(encoder, crops))
    encode = text_vectors(encoders["text"])
    encode(texts[:WARMED])
    many = islice(cycle(crops), COUNT * len(clips))
    return {
        "frames": in_processes(partial(_decode_and_detect, encoders["faces"]), clips),
        "visual": cost(lambda: sum(1 for _ in picture_vectors(encoder, many)))[0].wall,
        "audio": in_processes(_compute_functionals, clips),
        "text": cost(partial(encode, texts))[0].wall,
    }


def in_processes(work: Callable[[Path], Any], clips: Sequence[Path]) -> float:
    """Seconds that a process per core takes for these clips, after some that warm up."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers(), context) as pool:
        list(pool.map(work, (clips * (4 * workers()))[: 4 * workers()]))
        return cost(lambda: list(pool.map(work, clips)))[0].wall


def _decode_and_detect(weights: Path, clip: Path) -> None:
    detector = one_detector(weights)
    for image in frames(clip):
        detector.detect(image)


def _compute_functionals(clip: Path) -> None:
    _one_smile()(sound(clip), RATE)


@cache
def one_detector(weights: Path) -> FaceDetector:
    """One detector per process, which takes one thread."""
    cv2.setNumThreads(1)
    return face_detector(weights)


@cache
def _one_smile() -> Callable[[np.ndarray, int], np.ndarray]:
    return functionals()
