"""The stages `frames` and `visual` against the bare decoding and detecting of the same clips."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from ruamel.yaml import YAML

from benchmarks.talking_clips import write_clips
from pipeline.base import paths
from pipeline.base.files import sha256_file
from pipeline.base.workers import workers
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from pipeline.weights.install import install
from pipeline.weights.record import EncoderRecord, FileRecord, write_record

ROOT = Path(__file__).parents[1]
STORE = ROOT / "models/weights"
YUNET = STORE / "yunet/face_detection_yunet_2023mar.onnx"
LIKE = "meld"
"""The corpus whose settings are taken."""
WARM, TIMED = "one_clip", "timed"
LONGEST_SIDE = 320
THRESHOLD, OVERLAP = 0.6, 0.3


@dataclass(frozen=True)
class Load:
    """What the stages get to do.

    Attributes:
        clips: How many.
        size: Width and height, pixels.
        seconds: Of each clip.
        count: Frames of each clip.
        batch_size: Of the network.
        device: Where it runs.
        precision: Its arithmetic on a GPU.
    """

    clips: int
    size: tuple[int, int]
    seconds: float
    count: int
    batch_size: int
    device: str
    precision: str


def stage_rows(folder: Path, weights: Path, architecture: str, load: Load) -> dict[str, float]:
    """Seconds of the stages, each a process of its own as DVC starts it, and of their floor.

    The same stages on one clip tell what of that is starting: loading libraries and weights,
    starting the worker processes, recording the network.

    Args:
        folder: An empty folder for everything.
        weights: Of the network.
        architecture: Its name.
        load: How much.
    """
    clips = write_clips(folder / "clips", load.clips, load.size, load.seconds)
    workspace = folder / "workspace"
    for corpus, some in ((WARM, clips[:1]), (TIMED, clips)):
        _corpus(workspace, corpus, some, load, weights, architecture)
    _params(workspace, load)
    found = {"clips": float(len(clips)), "floor": _floor(clips, load.count)}
    for stage in ("frames", "visual"):
        _seconds(workspace, stage, WARM)  # libraries come into the page cache
        shutil.rmtree(workspace / "cache")
        found[f"starting {stage}"] = _seconds(workspace, stage, WARM)
        found[stage] = _seconds(workspace, stage, TIMED)
    return found


def _seconds(workspace: Path, stage: str, corpus: str) -> float:
    paths_of_code = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    places = {"ERC_CACHE": str(workspace / "cache"), "PYTHONPATH": paths_of_code}
    command = [sys.executable, "-m", f"stages.{stage}", corpus]
    start = time.perf_counter()
    subprocess.run(command, cwd=workspace, env={**os.environ, **places}, check=True)
    return time.perf_counter() - start


def _params(workspace: Path, load: Load) -> None:
    yaml = YAML(typ="safe", pure=True)
    settings = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section in settings.values():
        if isinstance(section, dict) and LIKE in section:
            section |= {corpus: dict(section[LIKE]) for corpus in (WARM, TIMED)}
    settings |= {"corpora": [WARM, TIMED], "demos": []}
    settings["compute"] |= {"device": load.device, "precision": load.precision}
    for corpus in (WARM, TIMED):
        settings["frames"][corpus]["count"] = load.count
        settings["visual"][corpus]["batch_size"] = load.batch_size
    with (workspace / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)


def _corpus(
    workspace: Path,
    corpus: str,
    clips: Sequence[Path],
    load: Load,
    weights: Path,
    architecture: str,
) -> None:
    raw = workspace / paths.raw(corpus)
    raw.mkdir(parents=True)
    utterances = []
    for number, clip in enumerate(clips):
        (raw / clip.name).symlink_to(clip)
        segment = Segment(clip.name, end=load.seconds, sha256=sha256_file(clip))
        utterances.append(Utterance(clip.stem, f"d{number}", 0, "s", "words", segment, segment))
    write_manifest(workspace / paths.manifest(corpus), utterances, Origin("meld", False))
    install("yunet", "faces", workspace / paths.pretrained(corpus, "faces"), STORE, "faces")
    folder = workspace / paths.pretrained(corpus, "visual")
    folder.mkdir(parents=True)
    (folder / weights.name).symlink_to(weights)
    file = FileRecord(bytes=weights.stat().st_size, sha256=sha256_file(weights))
    record = EncoderRecord(
        format="encoder/1",
        name="random",
        role="visual",
        architecture=architecture,
        revision="random",
        licence="none",
        description="random weights",
        files={weights.name: file},
    )
    write_record(folder, record)


def _floor(clips: Sequence[Path], count: int) -> float:
    """Seconds to decode all clips and detect on the wanted frames, plainly, on all cores."""
    context = multiprocessing.get_context("spawn")
    work = partial(_decode_and_detect, count=count)
    with context.Pool(workers()) as pool:
        pool.map(work, [clips[0]] * 4 * workers(), chunksize=1)  # every process has started
        start = time.perf_counter()
        found = pool.map(work, clips, chunksize=1)
        seconds = time.perf_counter() - start
    print(f"floor: {np.mean(found):.2f} faces per frame")
    return seconds


_detectors: list[Any] = []


def _decode_and_detect(path: Path, count: int) -> float:
    """Faces per frame; every frame is decoded by one thread, the wanted ones are converted."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        total = stream.frames
        wanted = {int(total * (part + 0.5) / count) for part in range(count)}
        return float(
            np.mean(
                [
                    _detect(frame.to_ndarray(format="bgr24"))
                    for number, frame in enumerate(container.decode(stream))
                    if number in wanted
                ]
            )
        )


def _detect(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    small = (round(width * scale), round(height * scale))
    if not _detectors:
        cv2.setNumThreads(1)
        _detectors.append(cv2.FaceDetectorYN.create(str(YUNET), "", small, THRESHOLD, OVERLAP))
    (detector,) = _detectors
    detector.setInputSize(small)
    _, faces = detector.detect(cv2.resize(image, small, interpolation=cv2.INTER_AREA))
    return 0 if faces is None else len(faces)
