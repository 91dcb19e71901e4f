"""What a corpus costs by the bare functions alone: no cache, no store, no process but the workers.

`python -m benchmarks.bare_sum FOLDER TEXTS FIRST STEP` prints seconds on the clock as JSON, a
number for each step: decoding and detection by a process per core, the networks with a thread per
core, each once warm. FOLDER holds clips, TEXTS is a file with a text a line; of both every STEP-th
is taken, from FIRST on.
"""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks import our_extraction as ours
from pipeline.base.workers import workers

COUNT = 20
BATCH = 64  # pictures, as params.yaml has it for MELD
CROPS = 64  # pictures that are run again and again: their content costs nothing
SIDE = 224


def main(clips: Sequence[Path], texts: Sequence[str]) -> dict[str, float]:
    """Seconds on the clock of each step."""
    torch.set_num_threads(workers())
    return {
        "frames": _in_processes(_decode_and_detect, clips),
        "visual": _pictures(COUNT * len(clips)),
        "audio": _in_processes(_functionals, clips),
        "text": _texts(texts),
    }


def _in_processes(work: Callable[[Path], None], clips: Sequence[Path]) -> float:
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers(), context) as pool:
        list(pool.map(work, clips[: 4 * workers()]))
        return _seconds(lambda some: list(pool.map(work, some)), clips)


def _seconds(work: Callable[[Any], Any], given: Any) -> float:
    start = time.perf_counter()
    work(given)
    return time.perf_counter() - start


def _decode_and_detect(clip: Path) -> None:
    detector = _detector()
    for image in ours.frames(clip, COUNT):
        detector.detect(image)


def _functionals(clip: Path) -> None:
    ours.sound_features(clip, _extract())


@cache
def _detector() -> Any:
    cv2.setNumThreads(1)
    return ours.face_detector()


@cache
def _extract() -> Any:
    return ours.functionals()


def _pictures(count: int) -> float:
    (weights,) = (ours.WEIGHTS / "mobilenet_v2").glob("*.pth")
    encode = ours.picture_vectors("mobilenet_v2", weights, BATCH)
    rng = np.random.default_rng(0)
    crops = list(rng.integers(0, 256, (CROPS, SIDE, SIDE, 3), np.uint8))
    list(encode(crops))
    # Counted, not kept, however many there are.
    return _seconds(lambda many: sum(1 for _ in encode(many)), islice(cycle(crops), count))


def _texts(texts: Sequence[str]) -> float:
    encode = ours.text_vectors(ours.WEIGHTS / "all-MiniLM-L6-v2")
    encode(texts[:CROPS])
    return _seconds(encode, texts)


if __name__ == "__main__":
    folder, file, first, step = sys.argv[1:]
    part = slice(int(first), None, int(step))
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    print(json.dumps(main(sorted(Path(folder).iterdir())[part], lines[part])))
