"""Our bare steps as the benchmark calls them: the one place that builds extractors."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.files import chunked
from pipeline.features.audio.smile import Smile
from pipeline.features.frames.faces import FaceDetector
from pipeline.features.text.encoder import TextEncoder
from pipeline.features.text.turns import Turn
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.media.audio import load_mono
from pipeline.media.packets import Window
from pipeline.media.video import Wanted, sample_segments

RATE = 16_000
LONGEST = 600.0  # seconds
FEATURE_SET = "ComParE_2016"
MAX_TOKENS = 128
TOKENS_PER_BATCH = 256
WEIGHTS = Path(os.environ.get("ERC_WEIGHTS") or Path(__file__).parents[1] / "models/weights")
WHOLE = Window(0.0, inf, LONGEST)

Images = list[np.ndarray]


def face_detector(**options: Any) -> FaceDetector:
    """YuNet as params.yaml has it."""
    (weights,) = (WEIGHTS / "yunet").glob("*.onnx")
    return FaceDetector(weights, score_threshold=0.6, **options)


def functionals() -> Callable[[np.ndarray, int], np.ndarray]:
    """ComParE 2016 of a sound and its rate."""
    return Smile(FEATURE_SET, "functionals").extract


def text_vectors(folder: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """The mean of a network's tokens, on the CPU."""
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


def picture_vectors(
    architecture: str, weights: Path, batch_size: int, backend: str = "onnxruntime"
) -> Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]:
    """The class scores of a network, on the CPU with as many threads as torch has."""
    encoder = ImageEncoder(
        architecture=architecture,
        weights=weights,
        layer="logits",
        device="cpu",
        precision="float32",
        batch_size=batch_size,
        backend=backend,
        threads=torch.get_num_threads(),
    )

    def encode(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for some in chunked(images, batch_size):
            batch = encoder.room()
            for place, image in enumerate(some):
                batch[place] = image
            batch[len(some) :] = 0
            yield from encoder.start(batch)()[: len(some)]

    return encode


def frames(path: Path, count: int) -> Images:
    """Evenly spaced frames of a clip."""
    return turns_frames(path, count, [WHOLE])[0]


def turns_frames(path: Path, count: int, turns: Sequence[Window]) -> list[Images]:
    """Evenly spaced frames of each turn of a dialogue."""
    found: dict[int, Images] = {}
    for place, sampled in sample_segments(path, count, [Wanted(turn) for turn in turns]):
        if isinstance(sampled, Exception):
            raise sampled
        found[place] = [frame.image for frame in sampled]
    return [found[place] for place in range(len(turns))]


def sound(path: Path) -> np.ndarray:
    """A clip's sound, (samples,) at 16 kHz."""
    return load_mono(path, rate=RATE, max_seconds=LONGEST)


def sound_features(path: Path, extract: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """A clip's functionals."""
    return extract(sound(path), RATE)
